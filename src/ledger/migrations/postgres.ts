import { CLAIMS } from './001-claims.postgres.ts'
import { REPLAY } from './002-replay.postgres.ts'
import { FREE_REQUESTS } from './003-free-requests.postgres.ts'
import { RATE_COUNTERS } from './004-rate-counters.postgres.ts'

/** In order: a schema's version is how many of them it has had. Never edit one that shipped. */
export const POSTGRES_MIGRATIONS: readonly string[] = [CLAIMS, REPLAY, FREE_REQUESTS, RATE_COUNTERS]
