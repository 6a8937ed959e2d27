import { styleText } from 'node:util'
import type { Failure } from './failure.ts'
import type { OutputStream, Surroundings } from './surroundings.ts'

type Style = Parameters<typeof styleText>[0]

/**
 * Where a verb writes. A person at a terminal gets text; a program behind a pipe gets JSON, one
 * document a line. Results go to standard output, everything else to standard error.
 */
export interface Output {
  /** True when a person reads. */
  readonly terminal: boolean
  readonly stdout: OutputStream
  readonly stderr: OutputStream

  /** The answer to what was asked. `text` runs only when a person reads. */
  result(value: unknown, text: () => string): void

  /** A fact beside the answer, on standard error. */
  record(value: unknown, text: () => string): void

  /** Progress: shown wherever a person sees standard error, whatever standard output is. */
  note(text: string): void

  failure(failure: Failure): void
}

/**
 * @param options.json Writes JSON even at a terminal (the `--json` of every verb).
 */
export function createOutput(options: { json: boolean }, surroundings: Surroundings): Output {
  const { stdout, stderr } = surroundings
  const terminal = stdout.isTTY === true && !options.json
  const write = (stream: OutputStream, value: unknown, text: () => string) => {
    stream.write(`${terminal ? text() : JSON.stringify(value)}\n`)
  }
  return {
    ...{ terminal, stdout, stderr },
    result: (value, text) => write(stdout, value, text),
    record: (value, text) => write(stderr, value, text),
    note: text => {
      if (stderr.isTTY && !options.json) stderr.write(`${text}\n`)
    },
    failure: failure => {
      const { exitCode: _exitCode, details, ...error } = failure
      write(stderr, { error: { ...error, ...details } }, () => failureText(failure, stderr))
    },
  }
}

/** Colours `text` where the stream shows colours. NO_COLOR and FORCE_COLOR are respected. */
export function styled(style: Style, text: string, stream: OutputStream): string {
  return styleText(style, text, { stream, validateStream: true })
}

/** Columns as wide as their widest cell, two spaces apart. The last one is not padded. */
export function table(rows: readonly (readonly string[])[]): string {
  const widths: number[] = []
  for (const row of rows) {
    for (const [column, cell] of row.entries()) {
      widths[column] = Math.max(widths[column] ?? 0, cell.length)
    }
  }
  const line = (row: readonly string[]) =>
    row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ')
  return rows.map(row => line(row).trimEnd()).join('\n')
}

function failureText(failure: Failure, stream: OutputStream): string {
  return `${styled('red', failure.code, stream)}: ${failure.message}\n  ${failure.fix}`
}
