import { closeSync, constants, fstatSync, openSync, writeSync } from 'node:fs'

export interface Sink {
  write(line: string): void
  close(): Promise<void>
}

export interface DirectSinkOptions {
  readonly descriptor: number
  /** Lines are written together once there are so many bytes of them, or `flushMs` has passed. */
  readonly bufferBytes: number
  /** Beyond this, lines are dropped. */
  readonly bufferBytesMax: number
  readonly flushMs: number
  /** How long `close` waits for a reader that takes nothing. */
  readonly closeMsMax: number
  readonly onTrouble: (reason: string) => void
}

/** How soon a full pipe is tried again. */
const RETRY_MS = 20

/**
 * Makes sure that a write to a descriptor never waits for a reader. Null where that cannot be had.
 *
 * A pipe is opened a second time for that: whether writes wait belongs to how a pipe was opened,
 * and other processes may share how it was opened for us (fcntl(2), O_NONBLOCK).
 */
export function openWithoutWaiting(descriptor: number): number | null {
  try {
    const stats = fstatSync(descriptor)
    if (stats.isFile()) return descriptor
    if (!stats.isFIFO()) return null
    return openSync(`/proc/self/fd/${descriptor}`, constants.O_WRONLY | constants.O_NONBLOCK)
  } catch {
    return null
  }
}

/**
 * Buffers lines and writes them itself instead of by the thread pool, whose threads cost more than
 * the write. The descriptor must be one of `openWithoutWaiting`.
 */
export class DirectSink implements Sink {
  readonly #options: DirectSinkOptions
  readonly #flushTimer: NodeJS.Timeout
  /** Lines that no write has been tried for. */
  #lines = ''
  /** What is left of the piece that is being written. */
  #piece: Buffer = Buffer.alloc(0)
  #retryTimer: NodeJS.Timeout | null = null
  #ended = false
  #closing: Promise<void> | null = null
  #whenWritten: (() => void) | null = null

  constructor(options: DirectSinkOptions) {
    this.#options = options
    this.#flushTimer = setInterval(() => this.#flush(), options.flushMs).unref()
  }

  write(line: string): void {
    if (this.#ended) return
    const { bufferBytes, bufferBytesMax, onTrouble } = this.#options
    if (this.#lines.length + this.#piece.length + line.length > bufferBytesMax) {
      onTrouble('its reader is too slow, so that lines are left out')
      return
    }
    this.#lines += line
    if (this.#lines.length >= bufferBytes) this.#flush()
  }

  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  async #close(): Promise<void> {
    await this.#writeRest()
    this.#end()
    // The standard descriptors outlive their log.
    if (this.#options.descriptor > 2) closeSync(this.#options.descriptor)
  }

  #writeRest(): Promise<void> {
    return new Promise(resolve => {
      const timer = setTimeout(resolve, this.#options.closeMsMax)
      this.#whenWritten = () => {
        clearTimeout(timer)
        resolve()
      }
      this.#flush()
    })
  }

  #flush(): void {
    // A full pipe is asked again by its timer, not by each line.
    if (this.#retryTimer === null) this.#writePieces()
  }

  #writePieces(): void {
    try {
      while (this.#piece.length > 0 || this.#lines !== '') {
        if (this.#piece.length === 0) {
          this.#piece = Buffer.from(this.#lines)
          this.#lines = ''
        }
        this.#piece = this.#piece.subarray(writeSync(this.#options.descriptor, this.#piece))
      }
      this.#whenWritten?.()
    } catch (error) {
      this.#handle(error as NodeJS.ErrnoException) // node:fs throws no other
    }
  }

  #handle({ code, message }: NodeJS.ErrnoException): void {
    if (code !== 'EAGAIN') this.#options.onTrouble(message)
    if (code === 'EPIPE') {
      this.#end()
      this.#whenWritten?.()
      return
    }
    const retryMs = code === 'EAGAIN' ? RETRY_MS : this.#options.flushMs
    this.#retryTimer = setTimeout(() => {
      this.#retryTimer = null
      this.#writePieces()
    }, retryMs).unref()
  }

  #end(): void {
    this.#ended = true
    this.#lines = ''
    this.#piece = Buffer.alloc(0)
    clearInterval(this.#flushTimer)
    if (this.#retryTimer !== null) clearTimeout(this.#retryTimer)
  }
}
