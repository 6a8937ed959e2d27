/** Something in the configuration that the operator has to change. Never repeats a secret. */
export interface Problem {
  /** Path as the caller gave it. */
  readonly file: string
  /** Both count from 1. */
  readonly line: number
  readonly column: number
  /** What it is about, like `routes."GET /v1/x".price`; empty for the whole file. */
  readonly item: string
  readonly message: string
  /** What to do, in a sentence. */
  readonly cure: string
}

/** What is wrong and what to do about it, before it has a place. */
export interface Finding {
  readonly message: string
  readonly cure: string
}

export type Path = readonly (string | number)[]

/** Two lines for a terminal: where and what, then the cure. */
export function formatProblem(problem: Problem): string {
  const { file, line, column, item, message, cure } = problem
  const subject = item === '' ? message : `${item}: ${message}`
  return [printable(`${file}:${line}:${column}: ${subject}`), `    ${printable(cure)}`].join('\n')
}

/** A path as an operator reads it: `accepts[0].network`, `routes."GET /v1/x".price`. */
export function formatPath(path: Path): string {
  return path.reduce<string>((text, part) => {
    if (typeof part === 'number') return `${text}[${part}]`
    const name = PLAIN_NAME.test(part) ? part : JSON.stringify(shorten(part, ITEM_LENGTH_MAX))
    return text === '' ? name : `${text}.${name}`
  }, '')
}

/** A reason as a cure: with a capital letter and a full stop. */
export function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}${text.endsWith('.') ? '' : '.'}`
}

/** Text from the file in quotes, short enough for a line. */
export function quote(text: string): string {
  return JSON.stringify(shorten(text, QUOTE_LENGTH_MAX))
}

const PLAIN_NAME = /^[A-Za-z_][\w-]*$/
const ITEM_LENGTH_MAX = 100
const QUOTE_LENGTH_MAX = 60

function shorten(text: string, lengthMax: number): string {
  return text.length <= lengthMax ? text : `${text.slice(0, lengthMax - 1)}…`
}

/** Control characters in a file must not reach the terminal that shows its problems. */
function printable(text: string): string {
  return text.replace(
    /[\p{Cc}\p{Cf}\p{Zl}\p{Zp}\p{Cs}]/gu,
    character => `\\u{${(character.codePointAt(0) ?? 0).toString(16)}}`,
  )
}
