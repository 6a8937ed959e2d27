import { CLAIMS } from './001-claims.postgres.ts'

/** In order: a schema's version is how many of them a database has had. Never edit a shipped one. */
export const POSTGRES_MIGRATIONS: readonly string[] = [CLAIMS]
