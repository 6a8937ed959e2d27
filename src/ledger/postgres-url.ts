/** How far a server must prove who it is. */
export type TlsVerification = 'full' | 'chain' | 'none'

export interface PostgresTls {
  readonly verify: TlsVerification
  /** Files in PEM. Null stands for the certificate authorities that Node trusts. */
  readonly rootCertificate: string | null
  readonly certificate: string | null
  readonly key: string | null
}

/** Where a database is and how to get in. Undefined where the PG* variables may say it. */
export interface PostgresTarget {
  /** Host, port and database, for messages: never the user's password. */
  readonly name: string
  /** A host's name, or the directory of a Unix socket. */
  readonly host: string
  readonly port: number | undefined
  readonly database: string | undefined
  readonly user: string | undefined
  readonly password: string | undefined
  readonly tls: PostgresTls | null
  readonly channelBinding: boolean
  readonly applicationName: string
  /** Passed on to the server, such as "-c search_path=farebox". */
  readonly serverOptions: string | undefined
}

export type ParsedPostgresUrl =
  | { readonly kind: 'target'; readonly target: PostgresTarget }
  | { readonly kind: 'problem'; readonly message: string; readonly cure: string }

const VERIFICATION: ReadonlyMap<string, TlsVerification | null> = new Map([
  ['disable', null],
  ['no-verify', 'none'],
  ['require', 'full'],
  ['verify-ca', 'chain'],
  ['verify-full', 'full'],
])

const PARAMETERS = [
  ...['host', 'sslmode', 'sslrootcert', 'sslcert', 'sslkey', 'channel_binding'],
  ...['application_name', 'options', 'target_session_attrs'],
]

/**
 * Reads a connection URI (PostgreSQL documentation, section 34.1.1.2, "Connection URIs").
 *
 * `sslmode` differs from libpq's where that would trust anybody: `require` proves the server as
 * `verify-full` does, `prefer` and `allow` are refused, and only `no-verify` encrypts for whoever
 * answers. Messages never repeat the URL, which may hold a password.
 */
export function parsePostgresUrl(text: string): ParsedPostgresUrl {
  const url = readUrl(text)
  if (url === null) {
    return problem(
      'is not a PostgreSQL URL',
      'write postgres://user:password@host:5432/database with one host, and percent-encode what ' +
        'is special in the password',
    )
  }
  const parameters = url.searchParams
  const unknown = [...parameters.keys()].find(name => !PARAMETERS.includes(name))
  if (unknown !== undefined) {
    return problem(`has the unknown parameter "${unknown}"`, `use only ${PARAMETERS.join(', ')}`)
  }
  const host = parameters.get('host') ?? url.hostname
  if (host === '') {
    return problem('names no host', 'write one, or ?host=/directory/of/the/socket at the end')
  }
  const mode = parameters.get('sslmode') ?? 'disable'
  const verify = VERIFICATION.get(mode)
  if (verify === undefined) {
    return problem(
      `has the sslmode "${mode}"`,
      `use one of ${[...VERIFICATION.keys()].join(', ')}: others may end up without encryption`,
    )
  }
  const tls = verify === null ? null : tlsOf(parameters, verify)
  if (tls?.verify === 'chain' && tls.rootCertificate === null) {
    return problem('has sslmode=verify-ca without sslrootcert', 'name the file, or use verify-full')
  }
  return { kind: 'target', target: targetOf(url, { host, tls }) }
}

function targetOf(
  url: DecodedUrl,
  { host, tls }: Pick<PostgresTarget, 'host' | 'tls'>,
): PostgresTarget {
  const { port, database, user, password, searchParams } = url
  const where = host.startsWith('/') ? host : `${host}:${port ?? 5432}`
  return {
    name: `${where}/${database ?? user ?? ''}`,
    ...{ host, port, database, user, password, tls },
    channelBinding: (searchParams.get('channel_binding') ?? 'disable') !== 'disable',
    applicationName: searchParams.get('application_name') ?? 'farebox',
    serverOptions: searchParams.get('options') ?? undefined,
  }
}

interface DecodedUrl {
  readonly hostname: string
  readonly port: number | undefined
  readonly user: string | undefined
  readonly password: string | undefined
  readonly database: string | undefined
  readonly searchParams: URLSearchParams
}

/** Stands where a user has no host behind it, which only the standard for web pages forbids. */
const NO_HOST = 'no-host.invalid'

function readUrl(text: string): DecodedUrl | null {
  const whole = text.replace(/^(\w+:\/\/[^/?#]*@)(?=[/?]|$)/, `$1${NO_HOST}`)
  if (!/^postgres(ql)?:\/\//.test(whole) || !URL.canParse(whole)) return null
  const url = new URL(whole)
  try {
    const hostname = decodeURIComponent(url.hostname).replace(/^\[(.*)\]$/, '$1')
    if (hostname.includes(',')) return null
    return {
      hostname: hostname === NO_HOST ? '' : hostname,
      port: url.port === '' ? undefined : Number(url.port),
      user: decodedOrAbsent(url.username),
      password: decodedOrAbsent(url.password),
      database: decodedOrAbsent(url.pathname.slice(1)),
      searchParams: url.searchParams,
    }
  } catch {
    return null
  }
}

function decodedOrAbsent(encoded: string): string | undefined {
  return encoded === '' ? undefined : decodeURIComponent(encoded)
}

function tlsOf(parameters: URLSearchParams, verify: TlsVerification): PostgresTls {
  const rootCertificate = parameters.get('sslrootcert')
  return {
    verify,
    rootCertificate: rootCertificate === 'system' ? null : rootCertificate,
    certificate: parameters.get('sslcert'),
    key: parameters.get('sslkey'),
  }
}

function problem(message: string, cure: string): ParsedPostgresUrl {
  return { kind: 'problem', message, cure }
}
