import type {
  AccessConfig,
  AllowConfig,
  ClientKeyConfig,
  DenyConfig,
  FreeQuotaConfig,
  JwtConfig,
} from './access-config.ts'
import type { CheckContext } from './check-context.ts'
import { checkJwks } from './check-jwks.ts'
import { checkRange } from './check-server.ts'
import type { Path } from './problems.ts'
import type { AllowSetting, DenySetting, FreeQuotaSetting } from './schema-access.ts'

/** What the file says of access, at its top or in a route. */
export interface AccessSettings {
  readonly allow?: AllowSetting | undefined
  readonly deny?: DenySetting | undefined
  readonly freeQuota?: FreeQuotaSetting | undefined
}

export const NO_ACCESS_RULES: AccessConfig = { allow: null, deny: null, freeQuota: null }

/**
 * @param inherited What stands where nothing is written here.
 * @param place.route Key of the route; null: at the top of the file.
 */
export function checkAccess(
  { allow, deny, freeQuota }: AccessSettings,
  inherited: AccessConfig,
  place: { readonly path: Path; readonly route: string | null; readonly context: CheckContext },
): AccessConfig {
  const { path, route, context } = place
  return {
    allow: allow === undefined ? inherited.allow : checkAllow(allow, [...path, 'allow'], context),
    deny: deny === undefined ? inherited.deny : checkDeny(deny, [...path, 'deny'], context),
    freeQuota: freeQuota === undefined ? inherited.freeQuota : readQuota(freeQuota, route),
  }
}

function checkAllow(allow: AllowSetting, path: Path, context: CheckContext): AllowConfig | null {
  if (allow === 'off') return null
  const { keys = [], header, jwt, networks, certificates } = allow
  reportIfEmpty(['keys', 'jwt', 'networks', 'certificates'], path, context)
  if (context.isWritten([...path, 'header']) && !context.isWritten([...path, 'keys'])) {
    const cure = 'Remove it, or list keys.'
    context.report([...path, 'header'], { message: 'has no meaning without keys', cure }, 'key')
  }
  return {
    keys: checkKeys(keys, [...path, 'keys'], context),
    keyHeader: header,
    jwt: jwt === undefined ? null : checkJwt(jwt, [...path, 'jwt'], context),
    networks: checkRanges(networks, [...path, 'networks'], context),
    certificates: checkNames(certificates, [...path, 'certificates'], context),
  }
}

function checkDeny(deny: DenySetting, path: Path, context: CheckContext): DenyConfig | null {
  if (deny === 'off') return null
  reportIfEmpty(['networks', 'certificates'], path, context)
  return {
    networks: checkRanges(deny.networks, [...path, 'networks'], context),
    certificates: checkNames(deny.certificates, [...path, 'certificates'], context),
  }
}

function reportIfEmpty(members: readonly string[], path: Path, context: CheckContext): void {
  if (members.some(member => context.isWritten([...path, member]))) return
  const cure = `Write one of ${members.join(', ')}, or off.`
  context.report(path, { message: 'names nobody', cure })
}

type KeySetting = NonNullable<Exclude<AllowSetting, 'off'>['keys']>[number]

/** The findings never repeat a hash: it may be a key that was written by mistake. */
function checkKeys(
  keys: readonly KeySetting[],
  path: Path,
  context: CheckContext,
): ClientKeyConfig[] {
  const names = new Set<string>()
  const hashes = new Set<string>()
  return keys.map(({ name, sha256: written }, index) => {
    const sha256 = written.toLowerCase()
    if (!/^[0-9a-f]{64}$/.test(sha256)) {
      const cure = 'Run "farebox key": it makes a key, and the line for this file.'
      context.report([...path, index, 'sha256'], {
        message: 'is not a SHA-256 of 64 hex digits',
        cure,
      })
    } else if (hashes.has(sha256)) {
      const cure = 'Give each name a key of its own.'
      context.report([...path, index], { message: 'has the key of another name', cure })
    }
    if (names.has(name)) {
      const cure = 'Give each key a name of its own.'
      context.report([...path, index, 'name'], { message: 'is there twice', cure })
    }
    names.add(name)
    hashes.add(sha256)
    return { name, sha256 }
  })
}

type JwtSetting = NonNullable<Exclude<AllowSetting, 'off'>['jwt']>

/** Each has a setting of its own, and says something only when it is checked as such. */
const CLAIMS_OF_THEIR_OWN = new Set(['iss', 'aud', 'exp', 'nbf', 'iat'])

function checkJwt(jwt: JwtSetting, path: Path, context: CheckContext): JwtConfig {
  for (const claim of Object.keys(jwt.claims)) {
    if (!CLAIMS_OF_THEIR_OWN.has(claim)) continue
    const cure = 'Remove it: issuer and audience are settings, and the times are always checked.'
    context.report([...path, 'claims', claim], { message: 'is not checked here', cure }, 'key')
  }
  return {
    jwks: checkJwks(jwt.jwks, [...path, 'jwks'], context),
    issuer: jwt.issuer,
    audiences: jwt.audience,
    claims: new Map(Object.entries(jwt.claims)),
    forward: jwt.forward,
  }
}

function checkRanges(
  ranges: readonly string[] | undefined,
  path: Path,
  context: CheckContext,
): string[] {
  return (ranges ?? []).flatMap((range, index) => checkRange(range, [...path, index], context))
}

/** A host name, or a URI as services have. */
const CERTIFICATE_NAME = /^[\x21-\x7e]+$/

function checkNames(
  names: readonly string[] | undefined,
  path: Path,
  context: CheckContext,
): readonly string[] {
  if (names !== undefined && !context.isWritten(['server', 'tls', 'clientCa'])) {
    const cure = 'Name the authority of the certificates in server.tls.clientCa.'
    context.report(
      path,
      { message: 'needs certificates, and nobody is asked for one', cure },
      'key',
    )
  }
  for (const [index, name] of (names ?? []).entries()) {
    if (CERTIFICATE_NAME.test(name) && !name.includes('*')) continue
    const message = `${context.quote([...path, index])} is not the name of one client`
    const cure = 'Write it as the certificate has it, without wildcards, like client.example.com.'
    context.report([...path, index], { message, cure })
  }
  return names ?? []
}

function readQuota(quota: FreeQuotaSetting, route: string | null): FreeQuotaConfig | null {
  return quota === 'off' ? null : { ...quota, route }
}
