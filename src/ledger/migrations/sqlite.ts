import { CLAIMS } from './001-claims.sqlite.ts'
import { UPKEEP } from './002-upkeep.sqlite.ts'
import { REPLAY } from './003-replay.sqlite.ts'
import { FREE_REQUESTS } from './004-free-requests.sqlite.ts'

/** In order: a schema's version is how many of them a file has had. Never edit one that shipped. */
export const SQLITE_MIGRATIONS: readonly string[] = [CLAIMS, UPKEEP, REPLAY, FREE_REQUESTS]
