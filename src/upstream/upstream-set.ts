import type { UpstreamConfig } from '../config/gateway-config.ts'
import type { Upstream } from './upstream.ts'

/** Upstreams in use. Configurations that say the same share connections, also over a reload. */
export interface UpstreamSet {
  use(configs: readonly UpstreamConfig[]): UpstreamsInUse
}

export interface UpstreamsInUse {
  readonly byName: ReadonlyMap<string, Upstream>
  /** Closes what nobody else uses, once its last request has ended. */
  release(): Promise<void>
}

export function createUpstreamSet(open: (config: UpstreamConfig) => Upstream): UpstreamSet {
  const shared = new Map<string, { readonly upstream: Upstream; users: number }>()
  return {
    use(configs) {
      const keys = configs.map(config => JSON.stringify(config))
      const upstreams = configs.map((config, index) => {
        const key = keys[index] ?? ''
        const entry = shared.get(key) ?? { upstream: open(config), users: 0 }
        entry.users++
        shared.set(key, entry)
        return entry.upstream
      })
      return {
        byName: new Map(upstreams.map(upstream => [upstream.name, upstream])),
        async release() {
          await Promise.all(keys.map(key => leave(key)))
        },
      }
    },
  }

  async function leave(key: string): Promise<void> {
    const entry = shared.get(key)
    if (entry === undefined || --entry.users > 0) return
    shared.delete(key)
    await entry.upstream.close()
  }
}
