import { EXIT_INTERRUPTED } from './exit-code.ts'
import { failureFrom } from './failure.ts'
import type { Output } from './output.ts'

/** What runs until a signal ends it. */
export interface Service {
  reload(): Promise<unknown>
  /** Resolves when it cannot go on by itself. */
  readonly failed?: Promise<Error>
  /** Takes nothing new, finishes what runs, closes everything. */
  close(): Promise<void>
}

export type Served =
  | { readonly kind: 'stopped' }
  /** It did not start, or could not go on. */
  | { readonly kind: 'failed'; readonly error: unknown }

export interface ServeHooks<Running> {
  readonly output: Output
  readonly onStarted: (service: Running) => Promise<void>
}

/** What is left open after a clean close may not keep the process alive. */
const LINGER_MS = 1000

/**
 * Opens a service and runs it until SIGTERM or SIGINT, or until it fails, then closes it. SIGHUP
 * reloads it. A second SIGINT ends the process at once.
 *
 * The handlers are set before anything opens: as PID 1 of a container, a process without them would
 * ignore these signals, and elsewhere a SIGHUP during the start would kill it.
 */
export async function serveUntilStopped<Running extends Service>(
  open: () => Promise<Running>,
  { output, onStarted }: ServeHooks<Running>,
): Promise<Served> {
  let service: Running | null = null
  const stopAsked = Promise.withResolvers<void>()
  let interrupts = 0
  process.on('SIGTERM', () => stopAsked.resolve())
  process.on('SIGINT', () => {
    interrupts++
    if (interrupts === 2) process.exit(EXIT_INTERRUPTED)
    output.note('Finishing what is running. Press Ctrl-C again to stop at once.')
    stopAsked.resolve()
  })
  process.on('SIGHUP', () => {
    service?.reload().catch(error => output.failure(failureFrom(error)))
  })
  try {
    service = await open()
  } catch (error) {
    return { kind: 'failed', error }
  }
  await onStarted(service)
  const failure = await Promise.race([stopAsked.promise, service.failed ?? stopAsked.promise])
  await service.close()
  setTimeout(() => process.exit(), LINGER_MS).unref()
  return failure === undefined ? { kind: 'stopped' } : { kind: 'failed', error: failure }
}
