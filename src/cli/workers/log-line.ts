import { Writable } from 'node:stream'
import type { Told } from './messages.ts'

/** Lines travel together once there are so many characters of them, or a second has passed. */
const BATCH_CHARACTERS = 8 * 1024
const FLUSH_MS = 1_000

export interface LogToPrimary {
  readonly stream: Writable
  /** Sends what is left. */
  flush(): Promise<void>
}

/**
 * Hands a worker's log to the primary, which writes the lines of all workers: written by several
 * processes, they would fall into one another. Goes by message and not by a pipe, so that each one
 * has whole lines, however the worker ends, and a primary that is busy keeps no worker waiting.
 */
export function logToPrimary(send: (told: Told, sent: () => void) => void): LogToPrimary {
  let lines = ''
  const flush = (sent: () => void): void => {
    const batch = lines
    lines = ''
    if (batch === '') sent()
    else send({ kind: 'log', lines: batch }, sent)
  }
  const stream = new Writable({
    decodeStrings: false,
    write(line: string, _encoding, done) {
      lines += line
      if (lines.length >= BATCH_CHARACTERS) flush(done)
      else done()
    },
  })
  setInterval(() => flush(() => undefined), FLUSH_MS).unref()
  return { stream, flush: () => new Promise(resolve => flush(resolve)) }
}
