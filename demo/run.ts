import { startGateway } from '../src/gateway.ts'
import { failureFrom } from './failure.ts'
import { nextThings } from './hints.ts'
import { createJsonPrinter, createShow, createTerminalPrinter, paint } from './print.ts'
import { walkThrough } from './steps.ts'
import { createStack, type Stack, type StartGateway, startWorld } from './world.ts'

/** 130 is what shells report for SIGINT. */
const EXIT_CODES = { told: 0, failed: 1, interrupted: 130 } as const
const EXIT_GRACE_MS = 1_000
const FIXES: Readonly<Record<string, string>> = {
  chain: 'Run "npm install" again; anvil must be able to run and to listen on 127.0.0.1.',
  facilitator: 'Nothing else may be needed: report this with the output above.',
  api: 'Programs must be able to listen on 127.0.0.1.',
  gateway: 'Report this with the output above: the demo writes its own configuration.',
}
const STEP_FIX = 'Run "npm run demo -- --once" and report its output.'

export interface RunOptions {
  /** Prints JSON, walks through once, exits. */
  readonly once: boolean
  readonly start?: StartGateway
}

/** Runs the demo and leaves its outcome in `process.exitCode`. Nothing it started stays behind. */
export async function run({ once, start = startGateway }: RunOptions): Promise<void> {
  const stack = createStack()
  const signal = firstSignal()
  let silent = false
  const write = (text: string) => {
    if (!silent) process.stdout.write(text)
  }
  const outcome = await Promise.race([
    signal.then(() => 'interrupted' as const),
    tellStory({ once, start, stack, write }),
  ])
  if (outcome === 'told' && !once) await signal
  // What is still going on fails now, because its part is taken away. Nobody wants to read that.
  silent = true
  await stack.closeAll()
  process.exitCode = EXIT_CODES[outcome]
  // Should anything hold on to the process all the same.
  setTimeout(() => process.exit(), EXIT_GRACE_MS).unref()
}

interface Story {
  readonly once: boolean
  readonly start: StartGateway
  readonly stack: Stack
  readonly write: (text: string) => void
}

async function tellStory({ once, start, stack, write }: Story): Promise<'told' | 'failed'> {
  const began = performance.now()
  const printer = once ? createJsonPrinter(write) : createTerminalPrinter(write)
  const show = createShow(printer, (error, step) => failureFrom(error, FIXES[step] ?? STEP_FIX))
  const result = (fields: Record<string, unknown>) => {
    const ms = Math.round(performance.now() - began)
    if (once) write(`${JSON.stringify({ step: 'result', ms, ...fields })}\n`)
  }
  try {
    if (!once) write(`\n${paint('bold', '  farebox: an API that is paid per request')}\n\n`)
    const world = await startWorld(show, stack, start)
    await walkThrough(world, show)
    result({ ok: true })
    if (!once) write(nextThings(world))
    return 'told'
  } catch (error) {
    // For a terminal, the printer has said what failed and how to go on.
    result({ ok: false, reason: failureFrom(error, STEP_FIX).message })
    return 'failed'
  }
}

/** Resolves at the first signal. The second ends the process at once. */
function firstSignal(): Promise<void> {
  return new Promise(resolve => {
    let signals = 0
    const stop = () => {
      signals += 1
      if (signals > 1) process.exit(EXIT_CODES.interrupted)
      resolve()
    }
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, stop)
    // Whoever read our output has gone.
    process.stdout.once('error', stop).on('error', () => undefined)
  })
}
