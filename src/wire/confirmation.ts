/** The code that installer and engineer read to each other to be sure that they mean the same box, e.g. `K7-PINE-42`. */
import { createHash } from 'node:crypto'

// No I and O, no 0 and 1: they are mistaken for one another on paper and over the phone.
const letters = 'ABCDEFGHJKLMNPQRSTUVWXYZ'
const words = (
  'ACORN AMBER APPLE ARROW BASIL BEACH BIRCH BREAD BRICK CABIN CANDY CEDAR CHALK CLOUD CORAL CROWN ' +
  'DELTA DRUM EAGLE EMBER FALCON FERN FLUTE FROST GARDEN GINGER GLOVE GRAPE HARBOR HAZEL HONEY ISLAND ' +
  'IVORY JACKET KAYAK LEMON LILAC LUNAR MAPLE MELON MIRROR NORTH OCEAN OLIVE ONION OPAL PANDA PEARL ' +
  'PINE PLUM QUARTZ RABBIT RIVER ROBIN SADDLE SILVER SPOON TIGER TULIP VALLEY VIOLET WALNUT WINTER ZEBRA'
).split(' ')

/** @param thumbprint the device: SHA-256 of its key's SPKI, hex. */
export function confirmationCode(thumbprint: string): string {
  const bytes = createHash('sha256').update(`causeway confirmation ${thumbprint.toLowerCase()}`).digest()
  const pick = (offset: number, of: number): number => bytes.readUInt32BE(offset) % of
  return `${letters[pick(0, letters.length)]}${2 + pick(4, 8)}-${words[pick(8, words.length)]}-${10 + pick(12, 90)}`
}
