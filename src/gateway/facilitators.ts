import type { GatewayConfig } from '../config/gateway-config.ts'
import type { Clock } from '../core/time.ts'
import type { GuardedFacilitator } from '../facilitator/facilitator.ts'
import { guardFacilitator } from '../facilitator/guarded.ts'
import { createHttpFacilitator } from '../facilitator/http-client.ts'
import type { OpenLocal } from '../facilitator/local/open-local.ts'
import { observeFacilitator } from '../facilitator/observed.ts'
import type { SupportCache } from '../facilitator/support-cache.ts'
import { createNetworkRegistry } from '../networks/registry.ts'
import { readV1Names } from '../networks/v1-names.ts'
import type { FacilitatorChanged, GatewayObserver } from '../observe/events.ts'
import { openPayments, type Payments } from '../x402/payments.ts'

/** Everybody who may verify and settle, each guarded, in the order of the configuration. */
export function connectFacilitators(
  { facilitators, networks }: GatewayConfig,
  parts: {
    readonly cache: SupportCache
    readonly observer: GatewayObserver
    readonly openLocal: OpenLocal
    readonly clock: Clock
  },
  onChange: () => void,
): Payments {
  const { cache, observer, openLocal, clock } = parts
  const v1Networks = readV1Names(createNetworkRegistry(networks))
  const watched = facilitators.map(config => {
    const { kind, name, concurrency } = config
    const memory = cache.memoryOf(kind === 'local' ? name : config.url)
    const client =
      kind === 'local'
        ? openLocal(config, networks)
        : createHttpFacilitator(config, v1Networks, memory.recall(), told =>
            observer.extensionAnswered({ facilitator: name, ...told }),
          )
    const observed = observeFacilitator(client, observer, clock)
    const facilitator = guardFacilitator(observed, { concurrency, clock })
    facilitator.onChange(() => observer.facilitatorChanged(toChange(facilitator)))
    return { facilitator, memory }
  })
  return openPayments(watched, v1Networks, onChange)
}

function toChange({ name, condition }: GuardedFacilitator): FacilitatorChanged {
  const now = condition()
  return { facilitator: name, condition: now.kind, forMs: now.kind === 'up' ? 0 : now.forMs }
}
