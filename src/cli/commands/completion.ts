import type { Command } from 'commander'
import { exit, Stop } from '../output.ts'
import { command } from '../program.ts'

/** `site` → its verbs; what has no verbs has options only. */
export function words(program: Command): ReadonlyMap<string, readonly string[]> {
  const optionsOf = (of: Command) => of.options.flatMap(({ long }) => (long ? [long] : []))
  const found = new Map<string, readonly string[]>()
  const visit = (of: Command, path: readonly string[]) => {
    found.set(path.join(' '), of.commands.length > 0 ? of.commands.map((each) => each.name()) : optionsOf(of))
    for (const each of of.commands) visit(each, [...path, each.name()])
  }
  visit(program, [])
  return found
}

const cases = (of: ReadonlyMap<string, readonly string[]>, line: (key: string, list: string) => string) =>
  [...of]
    .filter(([key]) => key !== '')
    .map(([key, list]) => line(key, list.join(' ')))
    .join('\n')

const shells: Readonly<Record<string, (of: ReadonlyMap<string, readonly string[]>) => string>> = {
  bash: (of) => `_causeway() {
  local key="\${COMP_WORDS[*]:1:COMP_CWORD-1}" list=""
  case "$key" in
    "") list="${of.get('')?.join(' ')}" ;;
${cases(of, (key, list) => `    "${key}"|"${key} "*) list="${list}" ;;`)
  .split('\n')
  .sort((a, b) => b.length - a.length)
  .join('\n')}
  esac
  COMPREPLY=($(compgen -W "$list" -- "\${COMP_WORDS[COMP_CWORD]}"))
}
complete -o default -F _causeway causeway
`,
  zsh: (of) => `#compdef causeway
autoload -U +X bashcompinit && bashcompinit
${shells['bash']?.(of)}`,
  fish: (of) => `complete -c causeway -f -n __fish_use_subcommand -a "${of.get('')?.join(' ')}"
${cases(of, (key, list) => {
  const options = list.split(' ').filter((one) => one.startsWith('--'))
  const when = key
    .split(' ')
    .map((name) => `__fish_seen_subcommand_from ${name}`)
    .join('; and ')
  if (options.length > 0) return options.map((one) => `complete -c causeway -n "${when}" -l ${one.slice(2)}`).join('\n')
  return `complete -c causeway -f -n "${when}" -a "${list}"`
})}
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
    output.line(make(words(program)).trimEnd())
  })
}
