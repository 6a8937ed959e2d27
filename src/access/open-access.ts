import { createRangeList, parseRange } from '../address-ranges.ts'
import type { AllowConfig, DenyConfig, JwtConfig } from '../config/access-config.ts'
import { readBearer } from '../core/bearer.ts'
import { createSeldom } from '../core/seldom.ts'
import type {
  Access,
  Caller,
  CredentialFlaw,
  KnownClient,
  RefusedCredential,
  RouteAccess,
} from './access.ts'
import { createClientKeys } from './client-keys.ts'
import { createInlineKeySet, createRemoteKeySet, type KeySet } from './key-set.ts'
import { createTokenCheck, looksLikeToken } from './tokens.ts'

export interface AccessOptions {
  reportError(error: unknown): void
  /** Milliseconds on a clock that only goes forward. */
  readonly now?: () => number
}

/** Ours have 47; more is nobody's, and would only cost us the hashing. */
const KEY_CHARACTERS_MAX = 512
/** With its scheme. Tokens of the large services stay below 4 KiB. */
const AUTHORIZATION_CHARACTERS_MAX = 8 * 1024

type Denies = RouteAccess['denies']
type Recognise = RouteAccess['recognise']

const DENIES_NOBODY: Denies = () => false
const KNOWS_NOBODY: Recognise = () => null

export function openAccess(options: AccessOptions): Access {
  let remote: ReadonlyMap<string, KeySet> = new Map()
  const isNews = createSeldom(options.now ?? (() => performance.now()))
  const remoteOptions = {
    now: options.now ?? (() => performance.now()),
    reportError(error: Error) {
      if (isNews(error.message)) options.reportError(error)
    },
  }
  return {
    compile({ routes }) {
      const next = new Map<string, KeySet>()
      const keySetOf = ({ jwks }: JwtConfig): KeySet => {
        if (jwks.kind === 'inline') return createInlineKeySet(jwks.json)
        const { url } = jwks
        const keys = next.get(url) ?? remote.get(url) ?? createRemoteKeySet(url, remoteOptions)
        next.set(url, keys)
        return keys
      }
      // Routes that inherit their rules share them, and so do ours.
      const recognise = memoise((allow: AllowConfig) => createRecognise(allow, keySetOf))
      const denies = memoise(createDenies)
      const compiled = routes.flatMap(({ key, access }): [string, RouteAccess][] => {
        const { allow, deny } = access
        if (allow === null && deny === null) return []
        const rules = {
          recognise: allow === null ? KNOWS_NOBODY : recognise(allow),
          denies: deny === null ? DENIES_NOBODY : denies(deny),
        }
        return [[key, rules]]
      })
      remote = next
      return new Map(compiled)
    },
  }
}

function memoise<Config, Made>(make: (config: Config) => Made): (config: Config) => Made {
  const made = new Map<Config, Made>()
  return config => {
    const known = made.get(config) ?? make(config)
    made.set(config, known)
    return known
  }
}

function createDenies(deny: DenyConfig): Denies {
  const isInside = insideOf(deny.networks)
  const named = certificateIn(deny.certificates)
  return caller => isInside(caller.clientAddress) || named(caller) !== null
}

/** What names somebody goes before what only says where he is. */
function createRecognise(allow: AllowConfig, keySetOf: (jwt: JwtConfig) => KeySet): Recognise {
  const { keys, keyHeader, jwt } = allow
  const findClient = keys.length === 0 ? null : createClientKeys(keys)
  const checkToken = jwt === null ? null : createTokenCheck(jwt, keySetOf(jwt))
  const isInside = insideOf(allow.networks)
  const named = certificateIn(allow.certificates)

  const withoutToken = (caller: Caller): KnownClient | null => {
    const certificate = named(caller)
    if (certificate !== null) return known('certificate', certificate)
    return isInside(caller.clientAddress) ? known('network', null) : null
  }

  return caller => {
    const key = findClient === null ? null : readKey(caller, keyHeader)
    const owner = key === null ? null : (findClient?.(key) ?? null)
    if (owner !== null) return known('key', owner, keyHeader)
    const bearer = checkToken === null ? null : bearerOf(caller)
    if (checkToken === null || bearer === null || !looksLikeToken(bearer)) {
      return withoutToken(caller) ?? (key === null ? null : refused('unknown_key'))
    }
    return checkToken(bearer).then(check => {
      if (check.kind === 'flawed') return withoutToken(caller) ?? refused(check.reason)
      return known('jwt', check.subject, jwt?.forward === true ? null : 'authorization')
    })
  }
}

function known(
  by: KnownClient['by'],
  name: string | null,
  credential: string | null = null,
): KnownClient {
  return { kind: 'known', by, name, credential }
}

function refused(reason: CredentialFlaw): RefusedCredential {
  return { kind: 'refused', reason }
}

function readKey(caller: Caller, header: AllowConfig['keyHeader']): string | null {
  const key = header === 'authorization' ? bearerOf(caller) : apiKeyOf(caller)
  return key !== null && key !== '' && key.length <= KEY_CHARACTERS_MAX ? key : null
}

function bearerOf(caller: Caller): string | null {
  return readBearer(caller.headerValues('authorization'), AUTHORIZATION_CHARACTERS_MAX)
}

/** Two of them could be read in two ways, so that they are none. */
function apiKeyOf(caller: Caller): string | null {
  const [key = null, ...others] = caller.headerValues('x-api-key')
  return others.length === 0 ? key : null
}

function insideOf(networks: readonly string[]): (address: string) => boolean {
  if (networks.length === 0) return () => false
  const ranges = networks.flatMap(range => {
    const parsed = parseRange(range)
    if (parsed === null) throw new Error(`Unchecked range: ${range}`)
    return [parsed]
  })
  return createRangeList(ranges)
}

/** @returns The first name of the caller's certificate that is listed, as it is listed. */
function certificateIn(names: readonly string[]): (caller: Caller) => string | null {
  if (names.length === 0) return () => null
  const listed = new Map(names.map(name => [comparable(name), name]))
  return ({ certificateNames }) => {
    for (const name of certificateNames) {
      const found = listed.get(comparable(name))
      if (found !== undefined) return found
    }
    return null
  }
}

/** Letter case makes no difference in the names of hosts (RFC 9525), and does in URIs. */
function comparable(name: string): string {
  return /^[\w.-]+$/.test(name) ? name.toLowerCase() : name
}
