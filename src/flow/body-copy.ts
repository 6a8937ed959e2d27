import type { Room } from './room.ts'

const FIRST_BYTES = 16 * 1024

/** Gathers a body that comes in pieces, in memory that it asks for as it grows. */
export class BodyCopy {
  readonly #room: Room
  readonly #bytesMax: number
  #memory: Buffer = Buffer.alloc(0)
  #length = 0

  constructor(room: Room, bytesMax: number) {
    this.#room = room
    this.#bytesMax = bytesMax
  }

  get length(): number {
    return this.#length
  }

  /** False: it would be too long, or there is no room. Then nothing was added. */
  add(chunk: Buffer): boolean {
    const length = this.#length + chunk.length
    if (length > this.#bytesMax || !this.#grow(length)) return false
    chunk.copy(this.#memory, this.#length)
    this.#length = length
    return true
  }

  /** What was gathered; good until `free`. */
  bytes(): Buffer {
    return this.#memory.subarray(0, this.#length)
  }

  free(): void {
    this.#room.giveBack(this.#memory.length)
    this.#memory = Buffer.alloc(0)
    this.#length = 0
  }

  /** Doubles, so that a body of many small pieces is not copied for each of them. */
  #grow(length: number): boolean {
    const size = this.#memory.length
    if (length <= size) return true
    const wanted = Math.min(this.#bytesMax, Math.max(length, size * 2, FIRST_BYTES))
    if (!this.#room.take(wanted - size)) return false
    const memory = Buffer.allocUnsafeSlow(wanted)
    this.bytes().copy(memory)
    this.#memory = memory
    return true
  }
}
