import type { Socket } from 'node:net'

/** When the two sides of a connection end. */
interface Stages {
  /** Ours: once nothing has come from the client for so long. */
  readonly quietMs: number
  /** The client's, at the latest, counted from now. */
  readonly lingerMs: number
}

/** For a client that sends the rest of its body; nginx reads on for as long. */
export const ONCE_QUIET: Stages = { quietMs: 500, lingerMs: 30_000 }

/** No body follows: what still comes was sent before the answer could be heard. */
export const AT_ONCE: Stages = { quietMs: 0, lingerMs: 1_000 }

/** How long a client may be silent, before and behind the end of our side; nginx has the same. */
const SILENCE_MS_MAX = 5_000

/**
 * Ends a connection whose client may still be sending (RFC 9112 section 9.6). Closed as a whole, it
 * would answer what still comes with a reset, and a client that writes all of its request before it
 * reads would never see its answer. Over TLS, few clients send on once our side has ended.
 *
 * Nothing that comes from here on is read as HTTP.
 */
export function closeInStages(socket: Socket, { quietMs, lingerMs }: Stages): void {
  const timers = [
    setTimeout(() => socket.end(), quietMs),
    setTimeout(() => socket.destroy(), quietMs + SILENCE_MS_MAX),
  ]
  const linger = setTimeout(() => socket.destroy(), lingerMs)
  socket.once('close', () => {
    for (const timer of [...timers, linger]) clearTimeout(timer)
  })
  throwAway(socket, () => {
    for (const timer of timers) timer.refresh()
  })
}

/** Takes the bytes from node:http's parser, which stops reading where nobody wants a body. */
function throwAway(socket: Socket, onBytes: () => void): void {
  const take = (): void => {
    socket.removeAllListeners('data')
    socket.on('data', onBytes)
  }
  if (socket.isPaused()) {
    // Not before, for it is node:http that makes a socket which it has stopped read on.
    socket.once('resume', take)
    socket.resume()
  } else take()
}
