import { once } from 'node:events'
import type { Readable, Writable } from 'node:stream'
import { crc32 } from 'node:zlib'

export const MEGABYTE = 1024 ** 2

/** Bytes by which a body that was mixed up, cut or doubled is told from a whole one. */
const BLOCK = Buffer.alloc(64 * 1024, 'farebox streams ')

export interface Counted {
  readonly bytes: number
  readonly checksum: number
}

/** Writes so many bytes as fast as they are taken, ends, and tells what it wrote. */
export async function sendBody(
  target: Writable,
  size: number,
  onBlock: (sent: number) => void = () => {},
): Promise<Counted> {
  let checksum = 0
  for (let sent = 0; sent < size; sent += BLOCK.length) {
    const block = BLOCK.subarray(0, Math.min(BLOCK.length, size - sent))
    checksum = crc32(block, checksum)
    onBlock(sent + block.length)
    if (!target.write(block)) await once(target, 'drain')
  }
  target.end()
  return { bytes: size, checksum }
}

export async function countBody(source: Readable): Promise<Counted> {
  let bytes = 0
  let checksum = 0
  for await (const chunk of source as AsyncIterable<Buffer>) {
    bytes += chunk.length
    checksum = crc32(chunk, checksum)
  }
  return { bytes, checksum }
}
