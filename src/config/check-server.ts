import { resolve } from 'node:path'
import { formatAddress, parseRange } from '../address-ranges.ts'
import { parsePostgresUrl } from '../ledger/postgres-url.ts'
import type { CheckContext } from './check-context.ts'
import { checkTls } from './check-tls.ts'
import { readHttpUrl } from './check-url.ts'
import type { ListenAddress, ServerConfig, StoreConfig } from './gateway-config.ts'
import type { Path } from './problems.ts'
import type { Settings } from './schema.ts'

export function checkServer(settings: Settings, context: CheckContext): ServerConfig {
  const { listen, hosts, trustedProxies, limits, drainTimeout, workers } = settings.server
  const publicUrl =
    settings.server.publicUrl === undefined
      ? null
      : checkPublicUrl(settings.server.publicUrl, context)
  return {
    listen,
    tls: checkTls(settings, context),
    http2: settings.server.http2 === 'on',
    publicUrl,
    hosts: hosts === undefined ? hostOf(publicUrl) : checkHosts(hosts, context),
    trustedProxies: trustedProxies.flatMap((range, index) =>
      checkRange(range, ['server', 'trustedProxies', index], context),
    ),
    limits: {
      headerBytes: limits.headerBytes,
      bodyBytes: limits.bodyBytes,
      requestTimeoutMs: limits.requestTimeout,
      replyBytesPerSecondMin: limits.minReplyRate,
      connections: limits.connections,
    },
    drainTimeoutMs: drainTimeout,
    workers,
  }
}

function checkPublicUrl(text: string, context: CheckContext): string | null {
  const path = ['server', 'publicUrl']
  const read = readHttpUrl(text)
  if (read.kind === 'refused') {
    context.report(path, read)
    return null
  }
  if (read.url.pathname === '/') return read.url.origin
  const cure = `Write ${read.url.origin} and put the path into the routes.`
  context.report(path, { message: 'has a path', cure })
  return null
}

function hostOf(publicUrl: string | null): string[] | null {
  return publicUrl === null ? null : [new URL(publicUrl).hostname]
}

const HOST = /^(?:[a-z0-9][a-z0-9._-]*|\[[0-9a-f:.]{2,45}\])$/

function checkHosts(hosts: readonly string[], context: CheckContext): string[] | null {
  if (hosts.length === 1 && hosts[0] === '*') return null
  const names = hosts.map(host => host.toLowerCase())
  for (const [index, name] of names.entries()) {
    if (HOST.test(name)) continue
    const path = ['server', 'hosts', index]
    const message = `${context.quote(path)} is not a host name`
    const cure =
      'Write names without scheme and port, like api.example.com, or ["*"] alone for any.'
    context.report(path, { message, cure })
  }
  return names
}

/** Addresses and CIDR ranges in their shortest form. */
export function checkRange(text: string, path: Path, context: CheckContext): string[] {
  const range = parseRange(text)
  if (range !== null) return [`${formatAddress(range[0])}/${range[1]}`]
  const message = `${context.quote(path)} is not an address or a CIDR range`
  context.report(path, { message, cure: 'Write it like 10.0.0.0/8, 192.0.2.7 or fd00::/8.' })
  return []
}

/** @param callers Where callers connect. */
export function checkAdmin(
  admin: Settings['admin'],
  callers: ListenAddress,
  context: CheckContext,
): ListenAddress | null {
  if (admin === 'off') return null
  const { listen } = admin
  if (listen.port === 0 || listen.port !== callers.port) return listen
  if (![listen.host, '0.0.0.0', '::'].includes(callers.host) && !isEveryHost(listen)) return listen
  const message = `uses port ${listen.port}, on which callers are served too`
  context.report(['admin', 'listen'], { message, cure: 'Choose another port for one of them.' })
  return listen
}

function isEveryHost({ host }: ListenAddress): boolean {
  return host === '0.0.0.0' || host === '::'
}

export function checkStore(
  { store, server }: Pick<Settings, 'store'> & { server: Pick<Settings['server'], 'workers'> },
  context: CheckContext,
): StoreConfig {
  const times = { redeemableMs: store.redeemable, retentionMs: store.retention }
  const path = ['store', 'url']
  if (/^postgres(ql)?:\/\//.test(store.url)) {
    const parsed = parsePostgresUrl(store.url)
    if (parsed.kind === 'problem') {
      context.report(path, { message: parsed.message, cure: `${parsed.cure}.` })
    }
    return { kind: 'postgres', url: store.url, ...times }
  }
  const [, file] = /^sqlite:(.+)$/s.exec(store.url) ?? []
  if (file === ':memory:') {
    if (server.workers > 1) reportNothingToShare(context)
    return { kind: 'sqlite', path: file, ...times }
  }
  // Two slashes announce a host in a URL, and sqlite:data/x.db with them would name another file.
  const isFile = file !== undefined && !/^\/\/(?!\/)/.test(file) && !/[\0?#]/.test(file)
  if (isFile) return { kind: 'sqlite', path: resolve(context.directory, file), ...times }
  const cure =
    'Write sqlite: and a path, like sqlite:./data/farebox.db, or postgres://user@host/database.'
  context.report(path, { message: 'is not a store that farebox knows', cure })
  return { kind: 'sqlite', path: ':memory:', ...times }
}

function reportNothingToShare(context: CheckContext): void {
  const message = 'needs a store that processes can share, and sqlite::memory: is in one alone'
  const cure = 'Give store.url a file, like sqlite:./data/farebox.db, or leave workers out.'
  context.report(['server', 'workers'], { message, cure })
}

/** Beside the SQLite file, which has to be writable anyway; else where that would be. */
export function supportCacheFile(store: StoreConfig, directory: string): string | null {
  if (store.kind === 'postgres') return resolve(directory, 'data/farebox.supported.json')
  if (store.path === ':memory:') return null
  return `${store.path.replace(/\.db$/, '')}.supported.json`
}
