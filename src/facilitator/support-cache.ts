import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { z } from 'zod'
import type { Clock } from '../core/time.ts'
import { SupportCacheError } from '../errors.ts'
import type { Supported } from './facilitator.ts'
import { readSupported } from './wire.ts'

/** What one facilitator said it supports, kept from one process to the next. */
export interface SupportMemory {
  recall(): Supported | null
  /** Never throws: without a memory, a start merely needs a facilitator that answers. */
  remember(supported: Supported): void
}

export interface SupportCache {
  /** @param url Of the facilitator. Only its hash is written: it may have a key in its path. */
  memoryOf(url: string): SupportMemory
}

export interface SupportCacheOptions {
  /** Null keeps nothing. */
  readonly file: string | null
  readonly clock: Clock
  /** Told once of a file that cannot be used, and once of one that cannot be written. */
  readonly reportError: (error: SupportCacheError) => void
}

const VERSION = 1
const FILE_BYTES_MAX = 8 * 1024 * 1024
const ENTRIES_MAX = 64
const DAY_MS = 24 * 3_600_000
/** Older answers, and those of facilitators that are asked no more, are forgotten. */
const AGE_MS_MAX = 30 * DAY_MS

const cacheFile = z.object({
  version: z.literal(VERSION),
  /** By the SHA-256 of the facilitator's URL. */
  facilitators: z.record(
    z.string().regex(/^[0-9a-f]{64}$/),
    z.object({ heardAt: z.int().nonnegative(), supported: z.unknown() }),
  ),
})

interface Entry {
  /** Unix milliseconds. */
  readonly heardAt: number
  readonly supported: Supported
}

/** Reads the file once, and writes it whole whenever something new is to be remembered. */
export function openSupportCache({ file, clock, reportError }: SupportCacheOptions): SupportCache {
  const entries = new Map<string, Entry>()
  let writable = true

  const save = (): void => {
    if (file === null) return
    try {
      writeCache(file, entries, clock())
      writable = true
    } catch (cause) {
      if (writable) reportError(unwritable(file, cause))
      writable = false
    }
  }

  if (file !== null) {
    try {
      for (const [key, entry] of readCache(file, clock())) entries.set(key, entry)
    } catch (cause) {
      if (!isMissing(cause)) reportError(unreadable(file, cause))
    }
  }

  return {
    memoryOf(url) {
      const key = createHash('sha256').update(url).digest('hex')
      return {
        recall: () => entries.get(key)?.supported ?? null,
        remember(supported) {
          const before = entries.get(key)
          const isSame = JSON.stringify(before?.supported) === JSON.stringify(supported)
          if (isSame && writable && clock() - (before?.heardAt ?? 0) < DAY_MS) return
          entries.set(key, { heardAt: clock(), supported })
          save()
        },
      }
    },
  }
}

/** Foreign bytes: anybody may have written them, or half of them. */
function readCache(file: string, now: number): [string, Entry][] {
  const stats = statSync(file)
  if (!stats.isFile()) throw new Error('It is not a file.')
  if (stats.size > FILE_BYTES_MAX) throw new Error('It is larger than 8 MiB.')
  const parsed = cacheFile.parse(JSON.parse(readFileSync(file, 'utf8')))
  return Object.entries(parsed.facilitators)
    .filter(([, { heardAt }]) => isYoung(heardAt, now))
    .flatMap(([key, { heardAt, supported: written }]): [string, Entry][] => {
      const supported = readSupported(written)
      return supported === null ? [] : [[key, { heardAt, supported }]]
    })
    .slice(0, ENTRIES_MAX)
}

/** Whole or not at all: a crash on the way leaves the file that was there. */
function writeCache(file: string, entries: ReadonlyMap<string, Entry>, now: number): void {
  const kept = [...entries]
    .filter(([, { heardAt }]) => isYoung(heardAt, now))
    .sort(([, a], [, b]) => b.heardAt - a.heardAt)
    .slice(0, ENTRIES_MAX)
  const text = JSON.stringify({ version: VERSION, facilitators: Object.fromEntries(kept) })
  if (Buffer.byteLength(text) > FILE_BYTES_MAX) throw new Error('It would be larger than 8 MiB.')
  mkdirSync(dirname(file), { recursive: true })
  const draft = `${file}.${process.pid}.tmp`
  try {
    writeFileSync(draft, `${text}\n`)
    renameSync(draft, file)
  } catch (error) {
    rmSync(draft, { force: true })
    throw error
  }
}

function isYoung(heardAt: number, now: number): boolean {
  return Math.abs(now - heardAt) < AGE_MS_MAX
}

/** Not there, or not even its directory. */
function isMissing(cause: unknown): boolean {
  const code = cause instanceof Error && 'code' in cause ? cause.code : null
  return code === 'ENOENT' || code === 'ENOTDIR'
}

function unreadable(file: string, cause: unknown): SupportCacheError {
  return new SupportCacheError(`${file} is not what farebox wrote, and is ignored.`, {
    fix: 'Nothing to do: it is written anew when a facilitator has answered.',
    cause,
  })
}

function unwritable(file: string, cause: unknown): SupportCacheError {
  return new SupportCacheError(`${file} cannot be written.`, {
    fix: 'Give farebox a directory that it may write to; without, a start needs its facilitators.',
    cause,
  })
}
