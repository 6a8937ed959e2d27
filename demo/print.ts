import { styleText } from 'node:util'
import type { DemoFailure } from './failure.ts'

/** What a step has to tell: `summary` and `details` for people, `facts` for programs. */
export interface Told {
  readonly summary: string
  readonly details: readonly (readonly [label: string, value: string])[]
  readonly facts: Readonly<Record<string, unknown>>
}

export interface Printer {
  begin(label: string): void
  done(step: string, elapsedMs: number, told: Told): void
  failed(step: string, elapsedMs: number, failure: DemoFailure): void
}

/** Runs one step of the demo, tells about it as it happens, and hands on what it found. */
export type Show = <Value>(
  step: string,
  label: string,
  run: () => Promise<{ readonly value: Value; readonly told: Told }>,
) => Promise<Value>

type Write = (text: string) => void

/** @param failureOf Turns what a step threw into something that names a cure. */
export function createShow(
  printer: Printer,
  failureOf: (error: unknown, step: string) => DemoFailure,
): Show {
  return async (step, label, run) => {
    const start = performance.now()
    printer.begin(label)
    try {
      const { value, told } = await run()
      printer.done(step, performance.now() - start, told)
      return value
    } catch (error) {
      const failure = failureOf(error, step)
      printer.failed(step, performance.now() - start, failure)
      throw failure
    }
  }
}

/** One JSON object a line and a step. Amounts are strings: a JSON number is a float. */
export function createJsonPrinter(write: Write): Printer {
  const line = (fields: Record<string, unknown>) => write(`${JSON.stringify(fields)}\n`)
  return {
    begin() {},
    done: (step, elapsedMs, { facts }) => line({ step, ms: Math.round(elapsedMs), ...facts }),
    failed: (step, elapsedMs, { message, fix }) =>
      line({ step, ms: Math.round(elapsedMs), error: message, fix }),
  }
}

const TIME_COLUMN = 64
const CLEAR_LINE = '\r\u001b[K'

/** For a person at a terminal: a mark for each step, and what it found underneath. */
export function createTerminalPrinter(write: Write): Printer {
  const finish = (mark: string, summary: string, elapsedMs: number) => {
    const time = `${Math.round(elapsedMs)} ms`.padStart(Math.max(8, TIME_COLUMN - summary.length))
    write(`${CLEAR_LINE}  ${mark} ${summary}${paint('dim', time)}\n`)
  }
  return {
    begin: label => write(`  ${paint('dim', `… ${label}`)}`),
    done(_step, elapsedMs, { summary, details }) {
      finish(paint('green', '✔'), summary, elapsedMs)
      write(detailLines(details))
    },
    failed(step, elapsedMs, { message, fix }) {
      finish(paint('red', '✖'), `Stopped at: ${step}`, elapsedMs)
      write(
        detailLines([
          ['why', message],
          ['fix', fix],
        ]),
      )
    },
  }
}

/** Label and value, one pair a line, labels in a column. */
function detailLines(details: Told['details']): string {
  const width = Math.max(0, ...details.map(([label]) => label.length)) + 2
  return details
    .map(([label, value]) => `      ${paint('dim', label.padEnd(width))}${value}\n`)
    .join('')
}

/** Colour where the terminal has it and NO_COLOR does not forbid it. */
export function paint(style: 'bold' | 'dim' | 'green' | 'red' | 'cyan', text: string): string {
  return styleText(style, text, { stream: process.stdout })
}
