import type { LocalFacilitatorConfig } from '../../config/gateway-config.ts'
import type { PaymentPayload, PaymentRequirements } from '../../core/payment.ts'
import { createSeldom } from '../../core/seldom.ts'
import type { Chains } from '../../networks/chains.ts'
import type { Network } from '../../networks/registry.ts'
import type { GatewayObserver } from '../../observe/events.ts'
import type { Facilitator } from '../facilitator.ts'
import type { LocalFacilitator } from './local-facilitator.ts'
import type { SharedSenders } from './shared-senders.ts'

export interface LocalParts {
  readonly chains: Chains
  readonly observer: Pick<GatewayObserver, 'gasBalanceRead' | 'gasSpent' | 'errorReported'>
}

export interface OpenedLocal extends Facilitator {
  /**
   * Whether a transaction of its own stands for a payment, so that a settle waits for that one and
   * sends no other. Rejects with `FacilitatorUnavailableError`.
   */
  hasSent(payload: PaymentPayload, requirements: PaymentRequirements): Promise<boolean>
}

/** Makes facilitators that settle on chain themselves. */
export type OpenLocal = (
  config: LocalFacilitatorConfig,
  networks: readonly Network[],
) => OpenedLocal

/**
 * One for a process: the facilitators that it makes share the senders of their keys. The chain
 * client is large, so it is loaded when the first of them is asked something.
 */
export function createOpenLocal(parts: LocalParts): OpenLocal {
  const report = createSeldomReport(parts.observer)
  let senders: Promise<SharedSenders> | null = null
  const shared = (): Promise<SharedSenders> => {
    senders ??= import('./shared-senders.ts').then(loaded => new loaded.SharedSenders(report))
    return senders
  }
  return (config, networks) => {
    let opening: Promise<LocalFacilitator> | null = null
    const opened = (): Promise<LocalFacilitator> => {
      opening ??= open(config, networks, { ...parts, senders: shared }).catch((error: unknown) => {
        opening = null
        throw error
      })
      return opening
    }
    const told = <T>(answer: Promise<T>): Promise<T> =>
      answer.catch((error: unknown) => {
        // Whoever asked learns that it is unavailable; why is for the operator.
        report(error)
        throw error
      })
    return {
      name: config.name,
      supported: () => told(opened().then(local => local.supported())),
      verify: (payload, asked) => told(opened().then(local => local.verify(payload, asked))),
      settle: (payload, asked) => told(opened().then(local => local.settle(payload, asked))),
      hasSent: (payload, asked) => told(opened().then(local => local.hasSent(payload, asked))),
      async close() {
        await (await opening?.catch(() => null))?.close()
      },
    }
  }
}

function createSeldomReport(observer: LocalParts['observer']): (error: unknown) => void {
  const isNews = createSeldom(() => performance.now())
  return error => {
    if (isNews(String(error))) observer.errorReported({ error, requestId: null })
  }
}

async function open(
  config: LocalFacilitatorConfig,
  networks: readonly Network[],
  parts: LocalParts & { readonly senders: () => Promise<SharedSenders> },
): Promise<LocalFacilitator> {
  const [{ LocalFacilitator: Opened }, { Desk }, senders] = await Promise.all([
    import('./local-facilitator.ts'),
    import('./desk.ts'),
    parts.senders(),
  ])
  const served = networks.filter(({ id }) => config.networks.some(one => one.id === id))
  const desks = await Promise.all(
    served.map(async network => {
      const desk = await Desk.open({ ...parts, config, network, senders })
      return [network.id, desk] as const
    }),
  )
  return new Opened(config, new Map(desks))
}
