import { isIP } from 'node:net'
import { readCertificates } from './certificate-files.ts'
import type { CheckContext } from './check-context.ts'
import { checkKeyPair, takeFile } from './check-key-pair.ts'
import type { Path } from './problems.ts'
import type { UpstreamSetting } from './schema-upstreams.ts'
import type { UpstreamTarget, UpstreamTlsConfig } from './upstream-config.ts'

const NAME = /^[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/i

type TlsSetting = NonNullable<UpstreamSetting['tls']>

/** Null where nothing is said: then the public authorities are trusted, and nothing is shown. */
export function checkUpstreamTls(
  { tls }: Pick<UpstreamSetting, 'tls'>,
  targets: readonly UpstreamTarget[],
  place: { readonly path: Path; readonly context: CheckContext },
): UpstreamTlsConfig | null {
  if (tls === undefined) return null
  const { path, context } = place
  if (targets.length > 0 && !targets.some(({ origin }) => origin.startsWith('https:'))) {
    const message = 'is for https, and no server of this upstream has it'
    context.report(path, { message, cure: 'Write https:// in url, or remove tls:.' })
  }
  const authorities =
    tls.ca === undefined
      ? null
      : takeFile(readCertificates(tls.ca, context.directory), [...path, 'ca'], context)
  const pair = checkIdentity(tls, path, context)
  return {
    ca: authorities?.pem ?? null,
    identity: pair && { cert: pair.cert, key: pair.key },
    serverName: checkServerName(tls.serverName, [...path, 'serverName'], context),
  }
}

function checkIdentity({ cert, key }: TlsSetting, path: Path, context: CheckContext) {
  if (cert !== undefined && key !== undefined) return checkKeyPair({ cert, key }, path, context)
  if (cert === undefined && key === undefined) return null
  const [given, missing] = cert === undefined ? ['key', 'cert'] : ['cert', 'key']
  const message = `stands without its ${missing}`
  context.report([...path, given], { message, cure: `Name the file of its ${missing} as well.` })
  return null
}

function checkServerName(
  name: string | undefined,
  path: Path,
  context: CheckContext,
): string | null {
  if (name === undefined) return null
  // RFC 6066 section 3: an address is no name.
  if (NAME.test(name) && isIP(name) === 0) return name.toLowerCase()
  const message = `${context.quote(path)} is not the name of a host`
  context.report(path, { message, cure: 'Write a name like api.internal, without a port.' })
  return null
}
