import { ConfigurationError } from '../errors.ts'
import type { GatewayConfig } from './gateway-config.ts'
import { loadConfig } from './load.ts'
import { formatProblem } from './problems.ts'
import { watchConfig } from './watch.ts'

export interface ConfigSourceOptions {
  readonly configFile: string
  /** Reload when the file changes. */
  readonly watch?: boolean | undefined
  /** Where `${VAR}` is looked up; default: the process's environment. */
  readonly env?: Readonly<Record<string, string | undefined>> | undefined
}

export type Reloaded =
  | { readonly kind: 'reloaded' }
  /** What was in force still is. */
  | { readonly kind: 'refused'; readonly problems: readonly string[] }

/** Whoever lives by the file. */
export interface ReloadTarget {
  inForce(): GatewayConfig
  apply(config: GatewayConfig): Promise<void>
  /** Told of the end of every reload; the problems of a bad file, none of a good one. */
  reloaded(problems: readonly string[]): void
}

/** A configuration file: read at the start, and again whenever it changes or somebody asks. */
export interface ConfigSource {
  /** @throws ConfigurationError with every problem of the file. */
  read(): Promise<GatewayConfig>
  /**
   * Begins to follow the file. Returns the way to ask for a reload, which is all or nothing: a bad
   * file keeps what is in force.
   */
  reloadInto(target: ReloadTarget): () => Promise<Reloaded>
  close(): void
}

/** Watches from now on: a change that comes before anybody follows the file is remembered. */
export function openConfigSource(options: ConfigSourceOptions): ConfigSource {
  const { configFile, env = process.env, watch = false } = options
  const changed = Promise.withResolvers<void>()
  let onChange: () => void = changed.resolve
  const watcher = watch ? watchConfig(configFile, () => onChange(), { env }) : null
  return {
    async read() {
      const loaded = await loadConfig(configFile, { env })
      if (loaded.kind === 'invalid') throw new ConfigurationError(loaded.problems)
      return loaded.config
    },
    reloadInto(target) {
      const reload = async (): Promise<Reloaded> => {
        const loaded = await loadConfig(configFile, { env })
        const problems =
          loaded.kind === 'invalid'
            ? loaded.problems.map(formatProblem)
            : needsRestart(target.inForce(), loaded.config)
        if (loaded.kind === 'loaded' && problems.length === 0) await target.apply(loaded.config)
        target.reloaded(problems)
        return problems.length === 0 ? { kind: 'reloaded' } : { kind: 'refused', problems }
      }
      onChange = () => void reload()
      void changed.promise.then(reload)
      return reload
    },
    close: () => watcher?.close(),
  }
}

/** What cannot change under sockets, files and processes that are open. */
function needsRestart(before: GatewayConfig, after: GatewayConfig): string[] {
  const fixed = (config: GatewayConfig): Record<string, unknown> => ({
    'server.listen': config.server.listen,
    'server.http2': config.server.http2,
    'server.tls (there or not)': config.server.tls !== null,
    'server.tls.clientCa (there or not)': (config.server.tls?.clientCa ?? null) !== null,
    'server.limits.headerBytes': config.server.limits.headerBytes,
    'server.limits.requestTimeout': config.server.limits.requestTimeoutMs,
    'server.limits.connections': config.server.limits.connections,
    'server.workers': config.server.workers,
    admin: config.admin,
    store: { ...config.store, redeemableMs: null, retentionMs: null },
  })
  const now = fixed(after)
  return Object.entries(fixed(before))
    .filter(([name, value]) => JSON.stringify(value) !== JSON.stringify(now[name]))
    .map(([name]) => `${name} has changed, which takes a restart. Nothing was applied.`)
}
