import { Counter, Gauge, type Registry } from 'prom-client'
import type { GatewayObserver } from './events.ts'

export interface UpstreamSeen {
  readonly name: string
  readonly targets: readonly {
    readonly name: string
    readonly outstanding: number
    readonly health: { readonly isUp: boolean }
  }[]
}

export function registerTargets(
  registry: Registry,
  upstreams: () => readonly UpstreamSeen[],
): void {
  const gauge = (
    metric: { readonly name: string; readonly help: string },
    read: (target: UpstreamSeen['targets'][number]) => number,
  ): void => {
    const one = new Gauge({
      ...metric,
      labelNames: ['upstream', 'target'],
      registers: [registry],
      collect() {
        one.reset()
        for (const { name: upstream, targets } of upstreams()) {
          for (const target of targets) one.set({ upstream, target: target.name }, read(target))
        }
      },
    })
  }
  gauge(
    {
      name: 'farebox_upstream_up',
      help: 'Processes of the gateway to which a server of an upstream is up.',
    },
    ({ health }) => (health.isUp ? 1 : 0),
  )
  gauge(
    {
      name: 'farebox_upstream_outstanding_requests',
      help: 'Requests that were handed to a server of an upstream and have not ended.',
    },
    ({ outstanding }) => outstanding,
  )
}

export function registerEjections(registry: Registry): GatewayObserver['upstreamChanged'] {
  const ejections = new Counter({
    name: 'farebox_upstream_ejections_total',
    help: 'Times that a server of an upstream was taken out of use.',
    labelNames: ['upstream', 'target'],
    registers: [registry],
  })
  return ({ upstream, target, fault }) => {
    if (fault !== null) ejections.inc({ upstream, target })
  }
}

export function registerQueueRefusals(registry: Registry): GatewayObserver['upstreamRefused'] {
  const refusals = new Counter({
    name: 'farebox_upstream_queue_refusals_total',
    help: 'Requests turned away because every server of an upstream had all that it may have.',
    labelNames: ['upstream'],
    registers: [registry],
  })
  return ({ upstream }) => refusals.inc({ upstream })
}
