import { randomBytes } from 'node:crypto'

const HEADER_BYTES_MAX = 14
const IS_MASKED = 0x80
const OPCODE = 0x0f
const CLOSE = 0x8
const LENGTH_IN_2_BYTES = 126
const LENGTH_IN_8_BYTES = 127

/**
 * Where frames begin and end in one direction of a WebSocket (RFC 6455 section 5.2). A frame of
 * ours may only stand between two of theirs; what theirs carry is not looked at. Bytes that are no
 * frames are read as some all the same: then one of ours may find no place, or a wrong one, and
 * whoever sent them has broken the protocol already.
 */
export class FrameMarks {
  readonly #header = Buffer.alloc(HEADER_BYTES_MAX)
  #headerBytes = 0
  #payloadLeft = 0
  /** A Close frame has begun. */
  hasClose = false

  get isBetweenFrames(): boolean {
    return this.#headerBytes === 0 && this.#payloadLeft === 0
  }

  /**
   * Reads on over a chunk.
   *
   * @returns Bytes of it up to the end of its last whole frame; -1 when no frame ends in it, nor
   *          just before it.
   */
  pass(chunk: Buffer): number {
    let end = this.isBetweenFrames ? 0 : -1
    let at = 0
    while (at < chunk.length) {
      if (this.#payloadLeft > 0) {
        const step = Math.min(this.#payloadLeft, chunk.length - at)
        this.#payloadLeft -= step
        at += step
      } else {
        this.#header[this.#headerBytes++] = chunk[at++] ?? 0
        this.#endHeader()
      }
      if (this.isBetweenFrames) end = at
    }
    return end
  }

  #endHeader(): void {
    if (this.#headerBytes < 2) return
    const second = this.#header.readUInt8(1)
    const length = second & ~IS_MASKED
    const maskBytes = second & IS_MASKED ? 4 : 0
    const lengthBytes = length === LENGTH_IN_8_BYTES ? 8 : length === LENGTH_IN_2_BYTES ? 2 : 0
    if (this.#headerBytes < 2 + lengthBytes + maskBytes) return
    this.#headerBytes = 0
    if ((this.#header.readUInt8(0) & OPCODE) === CLOSE) this.hasClose = true
    if (lengthBytes === 0) this.#payloadLeft = length
    else if (lengthBytes === 2) this.#payloadLeft = this.#header.readUInt16BE(2)
    // Beyond 2^53 it is inexact, and longer than anybody will live to see the end of.
    else this.#payloadLeft = Number(this.#header.readBigUInt64BE(2))
  }
}

/**
 * A Close frame (RFC 6455 section 5.5.1).
 *
 * @param code   What it says, like 1001 (RFC 6455 section 7.4.1).
 * @param reason ASCII, of at most 123 bytes.
 * @param to     Frames to a server are masked (section 5.3).
 */
export function closeFrame(code: number, reason: string, to: 'client' | 'server'): Buffer {
  const payload = Buffer.alloc(2 + reason.length)
  payload.writeUInt16BE(code)
  payload.write(reason, 2, 'latin1')
  const head = [0x88, payload.length | (to === 'server' ? IS_MASKED : 0)]
  if (to === 'client') return Buffer.from([...head, ...payload])
  const mask = randomBytes(4)
  return Buffer.from([...head, ...mask, ...payload.map((byte, at) => byte ^ (mask[at % 4] ?? 0))])
}
