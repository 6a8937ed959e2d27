import { createHash, timingSafeEqual } from 'node:crypto'
import type { ClientKeyConfig } from '../config/access-config.ts'

/** @returns The name of whoever has the key; null: nobody has. */
export type FindClient = (key: string) => string | null

/**
 * Finds keys by their hash, so that the cost does not grow with their number. How far a look-up got
 * tells nothing: nobody can choose the hash of what he guesses.
 */
export function createClientKeys(keys: readonly ClientKeyConfig[]): FindClient {
  const known = new Map(
    keys.map(({ name, sha256 }) => [sha256, { name, digest: Buffer.from(sha256, 'hex') }]),
  )
  return key => {
    const digest = createHash('sha256').update(key).digest()
    const found = known.get(digest.toString('hex'))
    return found !== undefined && timingSafeEqual(found.digest, digest) ? found.name : null
  }
}
