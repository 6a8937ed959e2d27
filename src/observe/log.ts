import { closeSync, openSync } from 'node:fs'
import type { Writable } from 'node:stream'
import pino from 'pino'
import { FareboxError } from '../errors.ts'
import { DirectSink, openWithoutWaiting, type Sink } from './direct-sink.ts'
import type { GatewayObserver } from './events.ts'
import { createLogObserver, type LogFields, type LogLines, type WriteLine } from './log-observer.ts'

export type LogLevel = 'debug' | 'info' | 'warn' | 'error' | 'silent'

export interface Logger extends LogLines {
  /** Writes one line for each request, and one for whatever else deserves it. */
  readonly observer: GatewayObserver
  /** Passes on whole lines that another process has written. */
  relay(lines: string): void
  /** Writes out what is buffered. Never rejects: nothing can be done about a lost log line. */
  close(): Promise<void>
}

export interface LoggerOptions {
  /** Default: "info". */
  readonly level?: LogLevel
  /** File descriptor, file path or stream; null: nowhere. */
  readonly destination: number | string | Writable | null
  /** Which of several processes writes; each line says so. Default: there is only this one. */
  readonly worker?: number
}

/** The log file cannot be opened for writing. */
export class LogFileError extends FareboxError {
  readonly code = 'log_file_unusable'

  constructor(path: string, cause: unknown) {
    super(`The log file ${path} cannot be opened for writing.`, {
      fix: 'Create its directory and let this user write there, or log to standard output.',
      cause,
    })
  }
}

/** Lines are written together once there are this many bytes of them, or a second has passed. */
const BUFFER_BYTES = 32 * 1024
/** The same where pino writes, which takes less than 16 KiB at a time. */
const PINO_BUFFER_BYTES = 8 * 1024
const FLUSH_MS = 1_000
/** Beyond this, lines are dropped: a reader that hangs must not fill our memory. */
const BUFFER_BYTES_MAX = 8 * 1024 * 1024
const CLOSE_MS_MAX = 2_000

const LEVELS: readonly LogLevel[] = ['debug', 'info', 'warn', 'error', 'silent']

/**
 * Writes one JSON object a line. The lines are put together here: pino's own serialiser takes four
 * times as long, which would be the dearest step of an unpaid request.
 *
 * @throws LogFileError when `destination` is a path that cannot be opened.
 */
export function createLogger(options: LoggerOptions): Logger {
  const { level = 'info', destination, worker } = options
  const sink = openSink(destination)
  const origin = worker === undefined ? '' : `,"worker":${worker}`
  const timeText = createTimeText()
  const writer = (name: LogLevel): WriteLine => {
    if (sink === null || LEVELS.indexOf(name) < LEVELS.indexOf(level)) return () => {}
    return (message, fields) => {
      const head = `{"time":"${timeText()}","level":"${name}","msg":${JSON.stringify(message)}`
      sink.write(`${head}${origin}${tailOf(fields)}\n`)
    }
  }
  const lines = {
    debug: writer('debug'),
    info: writer('info'),
    warn: writer('warn'),
    error: writer('error'),
  }
  return {
    ...lines,
    observer: createLogObserver(lines),
    relay: text => sink?.write(text),
    close: async () => sink?.close(),
  }
}

/** The rest of a line after its message. */
function tailOf(fields: LogFields | undefined): string {
  if (fields === undefined) return '}'
  try {
    const text = JSON.stringify(fields)
    return text === '{}' ? text.slice(1) : `,${text.slice(1)}`
  } catch {
    return ',"fields":"not serialisable"}'
  }
}

/** Writing a time out takes a microsecond; many requests share a millisecond. */
function createTimeText(): () => string {
  let written = Number.NaN
  let text = ''
  return () => {
    const now = Date.now()
    if (now !== written) text = new Date(now).toISOString()
    written = now
    return text
  }
}

function openSink(destination: LoggerOptions['destination']): Sink | null {
  if (destination === null) return null
  if (typeof destination === 'string') return openDescriptor(openForAppend(destination))
  if (typeof destination === 'number') return openDescriptor(destination)
  // The standard streams block on a full pipe, and a log reader that hangs would hang us with it.
  const { fd } = destination as { fd?: unknown } // only streams over a descriptor have one
  return typeof fd === 'number' ? openDescriptor(fd) : openStream(destination)
}

/** Opened here and now, so that a wrong path is told at the start instead of losing every line. */
function openForAppend(path: string): number {
  try {
    return openSync(path, 'a', 0o640)
  } catch (cause) {
    throw new LogFileError(path, cause)
  }
}

function openDescriptor(given: number): Sink {
  const descriptor = openWithoutWaiting(given)
  if (descriptor === null) return openWaiting(given)
  // Opened a second time; the standard descriptors outlive their log.
  if (descriptor !== given && given > 2) closeSync(given)
  return new DirectSink({
    descriptor,
    bufferBytes: BUFFER_BYTES,
    bufferBytesMax: BUFFER_BYTES_MAX,
    flushMs: FLUSH_MS,
    closeMsMax: CLOSE_MS_MAX,
    onTrouble: createWarnOnce(),
  })
}

/** Terminals and sockets may keep a write waiting, which therefore another thread has to do. */
function openWaiting(dest: number): Sink {
  const file = pino.destination({
    dest,
    sync: false,
    minLength: PINO_BUFFER_BYTES,
    maxLength: BUFFER_BYTES_MAX,
    periodicFlush: FLUSH_MS,
  })
  const warnOnce = createWarnOnce()
  let readerGone = false
  file.on('error', (error: NodeJS.ErrnoException) => {
    readerGone ||= error.code === 'EPIPE'
    warnOnce(error.message)
  })
  file.on('drop', () => warnOnce('its reader is too slow, so that lines are left out'))
  return {
    write: line => void file.write(line),
    close: () =>
      settleSoon(done => {
        // pino gives a broken pipe up for good: it would never say that it closed.
        if (readerGone) return done()
        file.once('close', done).once('error', done)
        file.end()
      }),
  }
}

/** The stream belongs to whoever handed it in, and is not ended. */
function openStream(stream: Writable): Sink {
  const warnOnce = createWarnOnce()
  stream.on('error', error => warnOnce(error.message))
  return {
    write(line) {
      if (stream.writable && stream.writableLength < BUFFER_BYTES_MAX) stream.write(line)
      else warnOnce('its stream takes no more, so that lines are left out')
    },
    close: () =>
      settleSoon(done => {
        if (stream.writable) stream.write('', done)
        else done()
      }),
  }
}

function settleSoon(start: (done: () => void) => void): Promise<void> {
  return new Promise(resolve => {
    const timer = setTimeout(resolve, CLOSE_MS_MAX)
    start(() => {
      clearTimeout(timer)
      resolve()
    })
  })
}

function createWarnOnce(): (reason: string) => void {
  let warned = false
  return reason => {
    if (warned) return
    warned = true
    process.emitWarning(`The log is not complete: ${reason}`, { code: 'FAREBOX_LOG' })
  }
}
