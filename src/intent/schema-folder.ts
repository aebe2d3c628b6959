/** The file by which a folder names itself: whose files stand here. Without one they are those of `folder:<network>`. */
import { object, parsedText, type ReadOf } from './spec.ts'
import { parseName } from './values.ts'

const name = (description: string, example: string) => parsedText('I010', parseName, { description, examples: [example] })

export const folderFile = object(
  {
    folder: name('Who owns what the files of this folder say, as others see it: folder:cloud.', 'cloud'),
    of: name('The network that they are a part of.', 'acme'),
  },
  { required: ['folder', 'of'], example: '{ folder: cloud, of: acme }' },
)
export type RawFolder = ReadOf<typeof folderFile>
