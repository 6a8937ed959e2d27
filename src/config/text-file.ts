import { closeSync, constants, fstatSync, openSync, readSync } from 'node:fs'

/** `why` completes "the file …". */
export type UnreadableFile = { readonly kind: 'unreadable'; readonly why: string }
export type TextFile = { readonly kind: 'text'; readonly text: string } | UnreadableFile
export type FileBytes = { readonly kind: 'bytes'; readonly bytes: Buffer } | UnreadableFile

/** Reads a small UTF-8 file, as `readFileBytes` does. */
export function readTextFile(path: string, bytesMax: number): TextFile {
  const read = readFileBytes(path, bytesMax)
  return read.kind === 'bytes' ? decode(read.bytes) : read
}

/**
 * Reads a small file. A pipe or a device is refused instead of waited for.
 *
 * @param bytesMax Longer files are refused.
 */
export function readFileBytes(path: string, bytesMax: number): FileBytes {
  let descriptor: number
  try {
    descriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK)
  } catch (cause) {
    return { kind: 'unreadable', why: whyNot(cause) }
  }
  try {
    if (!fstatSync(descriptor).isFile()) return { kind: 'unreadable', why: 'is not a plain file' }
    const bytes = readAtMost(descriptor, bytesMax + 1)
    if (bytes.length <= bytesMax) return { kind: 'bytes', bytes }
    return { kind: 'unreadable', why: `is larger than ${bytesMax / 1024} KiB` }
  } catch (cause) {
    return { kind: 'unreadable', why: whyNot(cause) }
  } finally {
    closeSync(descriptor)
  }
}

/** Reads instead of trusting the file's size: it may grow while it is read. */
function readAtMost(descriptor: number, bytesMax: number): Buffer {
  const buffer = Buffer.alloc(bytesMax)
  let length = 0
  while (length < bytesMax) {
    const count = readSync(descriptor, buffer, length, bytesMax - length, null)
    if (count === 0) break
    length += count
  }
  return buffer.subarray(0, length)
}

function decode(bytes: Buffer): TextFile {
  try {
    return { kind: 'text', text: new TextDecoder('utf-8', { fatal: true }).decode(bytes) }
  } catch {
    return { kind: 'unreadable', why: 'is not UTF-8 text' }
  }
}

const REASONS: Readonly<Record<string, string>> = {
  ENOENT: 'does not exist',
  ENOTDIR: 'does not exist',
  EACCES: 'may not be read by this user',
  EPERM: 'may not be read by this user',
  EISDIR: 'is a directory',
  ELOOP: 'is a symbolic link that leads nowhere',
}

function whyNot(cause: unknown): string {
  const code = cause instanceof Error && 'code' in cause ? String(cause.code) : 'unknown reason'
  return REASONS[code] ?? `cannot be read (${code})`
}
