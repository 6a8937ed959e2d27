import type { UpstreamConfig } from '../../config/gateway-config.ts'
import type { Path } from '../../config/problems.ts'
import { locate, type Tree } from '../../config/tree.ts'
import { formatDuration } from '../../config/values.ts'
import { type Line, type Topic, writtenOrSecret } from './topic.ts'

/** How it is found out which servers of the upstream are up. */
export const healthTopic: Topic = {
  title: 'UPSTREAM HEALTH',
  lines({ upstream, config }) {
    if (upstream === null) return []
    const { health } = upstream
    const at: Path = ['upstreams', upstream.name, 'health']
    const { workers } = config.server
    const judges = {
      label: 'judged by',
      value: workers === 1 ? 'the one process' : `each of ${workers} workers, for itself`,
      at: [['server', 'workers']],
    }
    if (health === null) {
      const value = 'a connection, once it is out of use'
      return [{ label: 'a server is checked by', value, at: [at] }, judges]
    }
    const line = (label: string, value: string, key: string): Line => {
      return { label, value, at: [[...at, key]] }
    }
    return [
      line('a server is checked by', `GET ${health.path}`, 'path'),
      line('every', formatDuration(health.intervalMs), 'interval'),
      line('answers within', formatDuration(health.timeoutMs), 'timeout'),
      judges,
    ]
  },
}

/** Whom the gateway trusts to be a server of the upstream, and what it shows them. */
export const upstreamTlsTopic: Topic = {
  title: 'UPSTREAM TLS',
  lines({ upstream, document }) {
    if (upstream?.targets.some(({ origin }) => origin.startsWith('https:')) !== true) return []
    const { tls } = upstream
    const at: Path = ['upstreams', upstream.name, 'tls']
    const file = (label: string, key: string, absent: string | null): Line => {
      const path = [...at, key]
      return { label, value: writtenAt(document, path) ?? absent, at: [path] }
    }
    return [
      file('trusts', 'ca', 'the public authorities'),
      {
        label: 'asks for the name',
        value: tls?.serverName ?? hostsOf(upstream),
        at: [[...at, 'serverName']],
      },
      file('shows', 'cert', 'no certificate'),
      file('whose key is in', 'key', null),
    ]
  },
}

function hostsOf({ targets }: UpstreamConfig): string {
  const secure = targets.filter(({ origin }) => origin.startsWith('https:'))
  return secure.map(({ origin }) => new URL(origin).hostname).join(', ')
}

function writtenAt(document: Tree, path: Path): string | null {
  const { exact, node } = locate(document, path)
  return exact && node.kind === 'text' ? writtenOrSecret(node.value, path, document) : null
}
