import type { Command } from 'commander'
import { exit, Stop } from '../output.ts'
import { command } from '../program.ts'

interface Word {
  readonly text: string
  readonly says: string
  /** An option that takes a value. */
  readonly takesValue?: boolean
}
/** What may come after some words; `below` says that these are names of commands, so that nothing else may. */
interface Place {
  readonly after: string
  readonly words: readonly Word[]
  readonly below: boolean
}

/** `''` → the nouns, `site` → its verbs, `site token` → its options. */
export function places(program: Command): readonly Place[] {
  const named = (of: Command): Word => ({ text: of.name(), says: of.description() })
  const options = (of: Command): readonly Word[] => [
    ...of.options.flatMap(({ long, description, required }) => (long ? [{ text: long, says: description, takesValue: required }] : [])),
    { text: '--help', says: 'how it is used' },
  ]
  const at = (of: Command, after: string): readonly Place[] =>
    of.commands.length === 0
      ? [{ after, below: false, words: [...(after === 'completion' ? Object.keys(shells).map((text) => ({ text, says: '' })) : []), ...options(of)] }]
      : [
          ...of.commands.flatMap((one) => at(one, after === '' ? one.name() : `${after} ${one.name()}`)),
          { after, below: true, words: of.commands.map(named) },
        ]
  return at(program, '')
}

const quoted = (text: string): string => `'${text.replaceAll("'", `'\\''`)}'`
/** fish alone takes a backslash within quotes. */
const fishQuoted = (text: string): string => `'${text.replaceAll(/[\\']/g, '\\$&')}'`
/** Deeper places come first, so that the first that fits is the closest. */
const cases = (of: readonly Place[], list: (words: readonly Word[]) => string): string =>
  of
    .map(({ after, below, words }) => `    ${below ? quoted(after) : `${quoted(after)}|${quoted(`${after} `)}*`}) list=(${list(words)}) ;;`)
    .join('\n')

const shells: Readonly<Record<string, (of: readonly Place[]) => string>> = {
  bash: (of) => `_causeway() {
  local key="\${COMP_WORDS[*]:1:COMP_CWORD-1}" list=()
  case "$key" in
${cases(of, (words) => words.map(({ text }) => text).join(' '))}
  esac
  COMPREPLY=($(compgen -W "\${list[*]}" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _causeway causeway
`,
  zsh: (of) => `#compdef causeway
compdef _causeway causeway
_causeway() {
  local -a list
  case "\${(j: :)words[2,CURRENT-1]}" in
${cases(of, (words) => words.map(({ text, says }) => quoted(`${text}:${says.replaceAll(':', '\\:')}`)).join(' '))}
  esac
  _describe causeway list || _files
}
# Found by its file it is to complete at once, sourced it is not.
[[ "\${funcstack[1]}" == _causeway ]] && _causeway
true
`,
  fish: (of) => `function __causeway_after
  set -l given (commandline -opc)[2..-1]
  test "$given" = "$argv"; or string match -q -- "$argv *" "$given"
end
function __causeway_at
  set -l given (commandline -opc)[2..-1]
  test "$given" = "$argv"
end
${of
  .flatMap(({ after, below, words }) =>
    words.map(({ text, says, takesValue }) => {
      const when = `-n ${fishQuoted(`${below ? '__causeway_at' : '__causeway_after'} ${after}`.trim())}`
      const what = text.startsWith('--') ? `-l ${text.slice(2)}${takesValue ? ' -r' : ''}` : `-f -a ${text}`
      return `complete -c causeway ${when} ${what} -d ${fishQuoted(says)}`
    }),
  )
  .join('\n')}
`,
}

export function completion(program: Command): void {
  command(program, 'completion <shell>', 'what makes Tab work: bash, zsh or fish').action(({ output, args: [shell = ''] }) => {
    const make = shells[shell]
    if (make === undefined)
      throw new Stop(
        exit.usage,
        `"${shell}" is not a shell that is known here`,
        `write one of: ${Object.keys(shells).join(', ')}; for bash: source <(causeway completion bash)`,
      )
    output.line(make(places(program)).trimEnd())
  })
}
