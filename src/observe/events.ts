import type { NetworkId } from '../core/payment.ts'
import type { TunnelClosed, TunnelOpened } from './tunnel-events.ts'

/** One request has ended, whatever its end. Carries no header, no query and no payment's bytes. */
export interface RequestFinished {
  readonly requestId: string
  /** Route key as the YAML writes it; null: no route matched. */
  readonly route: string | null
  readonly method: string
  readonly status: number
  /** A code from a fixed set, like "paid" or "payment_required"; never built from what was sent. */
  readonly outcome: string
  readonly durationMs: number
  readonly clientAddress: string
  readonly payment?: PaymentSeen
  /** Of priced routes in shadow mode only. */
  readonly shadow?: ShadowSeen
  /** Whom the route's access rules know the client to be. */
  readonly client?: ClientSeen
  /** Why what came as a key or token is none; a code from a fixed set. */
  readonly credentialFlaw?: string
  /** Until the upstream's head arrived; absent when it was not asked. */
  readonly upstreamMs?: number
  /** Which limit the request was over. A code from a fixed set. */
  readonly limitedBy?: string
}

/** What a request would have been charged, had its route not been in shadow mode. */
export interface ShadowSeen {
  readonly network: NetworkId
  /** Ticker ("USDC"). */
  readonly asset: string
  /** Atomic units. */
  readonly amount: bigint
  readonly decimals: number
  /** False: its answer is one that costs nothing. */
  readonly due: boolean
  /** What the caller sent of its own accord; "passed" the checks that ask nobody. */
  readonly payment: 'absent' | 'malformed' | 'refused' | 'passed'
  /** Why it is malformed or refused: a code from a fixed set. */
  readonly reason: string | null
}

/** Somebody who need not pay. */
export interface ClientSeen {
  readonly by: 'key' | 'jwt' | 'certificate' | 'network'
  /** Named by the configuration, but for tokens: their issuer names the subject. */
  readonly name: string | null
}

/** What became of the payment that came with a request. */
export interface PaymentSeen {
  readonly id: string
  readonly network: NetworkId
  /** Ticker ("USDC"). */
  readonly asset: string
  /** Atomic units. */
  readonly amount: bigint
  readonly decimals: number
  readonly payer: string
  /** Hash; null when none is known. */
  readonly transaction: string | null
  /** A code from a fixed set. */
  readonly outcome: string
  /**
   * True when this request's own settle moved the money. False when an earlier settle is redeemed
   * or a used payment is shown again, which would otherwise be counted as revenue twice.
   */
  readonly charged: boolean
}

/** A facilitator has answered, or was given up. */
export interface FacilitatorAnswered {
  /** What the configuration calls it. */
  readonly facilitator: string
  readonly operation: 'verify' | 'settle' | 'supported'
  /** A code from a fixed set; "no_answer" when there was none that can be trusted. */
  readonly outcome: string
  readonly durationMs: number
}

/** A facilitator has said what it did with an extension of a payment, like a listing. */
export interface ExtensionAnswered {
  readonly facilitator: string
  /** One that is known, or "other". */
  readonly extension: string
  readonly status: 'processing' | 'rejected' | 'other'
  /** In the facilitator's words: bounded, printable ASCII. Null: it gave none. */
  readonly reason: string | null
}

/** Calls to a facilitator are made again, or are not made for a while. */
export interface FacilitatorChanged {
  readonly facilitator: string
  readonly condition: 'up' | 'down' | 'resting'
  /** Milliseconds until it is tried again; 0 when it is up. */
  readonly forMs: number
}

/** A server of an upstream is sent requests again, or is not for a while. */
export interface UpstreamChanged {
  readonly upstream: string
  /** Its origin, or "unix:" and its path. */
  readonly target: string
  /** What is amiss, as a code; null: it is up. */
  readonly fault: string | null
  /** Milliseconds until it is looked at again; 0 when it is up. */
  readonly forMs: number
}

/** A request was turned away because every server of an upstream has too many. */
export interface UpstreamRefused {
  readonly upstream: string
}

export interface ConfigReloaded {
  /** False: the file was bad and the old configuration stays in force. */
  readonly ok: boolean
  /** What was wrong, each with its place and cure; empty when `ok`. */
  readonly problems: readonly string[]
}

export interface ErrorReported {
  readonly error: unknown
  /** Null when it happened outside of a request. */
  readonly requestId: string | null
}

/** The resolver has looked at a claim whose settlement was open. */
export interface ClaimResolved {
  readonly network: NetworkId
  /** Route key as the YAML wrote it then. */
  readonly route: string
  readonly outcome: 'settled' | 'released' | 'open'
  /** A code from a fixed set: what proved it, or what it waits for. */
  readonly reason: string
  readonly payer: string
  /** Hash that is proven or was named; null when there is none. */
  readonly transaction: string | null
  /** Since the payment was claimed. */
  readonly ageMs: number
}

/** The chain was asked about a settlement that a facilitator had told of. */
export interface SettlementChecked {
  readonly network: NetworkId
  /** Route key as the YAML writes it. */
  readonly route: string
  readonly outcome:
    | 'confirmed'
    /** The money moved, in another transaction than was named. */
    | 'transaction_differs'
    | 'nothing_moved'
    | 'cancelled'
    | 'used_otherwise'
    /** The payment is used up, and nothing that was found proves how. */
    | 'unproven'
    /** No node answered. */
    | 'unavailable'
    /** Too many waited, or no node is named any more. */
    | 'skipped'
}

/** A worker process has ended without being asked to. It is replaced. */
export interface WorkerEnded {
  readonly worker: number
  /** Null when a signal ended it. */
  readonly exitCode: number | null
  readonly signal: string | null
  /** Until its replacement starts. */
  readonly replacedInMs: number
}

/** What a key of a local facilitator has left for gas. */
export interface GasBalanceRead {
  readonly network: NetworkId
  readonly address: string
  readonly balanceWei: bigint
  /** It lasts for less than a hundred settlements. */
  readonly isLow: boolean
}

/** What a key of a local facilitator has paid for a transaction whose block stays. */
export interface GasSpent {
  readonly network: NetworkId
  readonly address: string
  readonly wei: bigint
}

/** A request to a facilitator of our own has ended. Carries nothing of its body or its key. */
export interface FacilitatorServed {
  readonly requestId: string
  /** Name of the key; null: it is not known. */
  readonly caller: string | null
  /** Null: the path is none of them. */
  readonly operation: 'verify' | 'settle' | 'supported' | null
  readonly status: number
  /** A code from a fixed set. */
  readonly outcome: string
  readonly durationMs: number
  readonly clientAddress: string
  /** Null: no payment was read. */
  readonly network: NetworkId | null
  readonly payer: string | null
  /** Hash; null when none is known. */
  readonly transaction: string | null
}

/** Told of what happens. Must be quick and must not throw; nothing waits for it. */
export interface GatewayObserver {
  requestFinished(event: RequestFinished): void
  facilitatorAnswered(event: FacilitatorAnswered): void
  extensionAnswered(event: ExtensionAnswered): void
  facilitatorChanged(event: FacilitatorChanged): void
  upstreamChanged(event: UpstreamChanged): void
  upstreamRefused(event: UpstreamRefused): void
  configReloaded(event: ConfigReloaded): void
  claimResolved(event: ClaimResolved): void
  settlementChecked(event: SettlementChecked): void
  gasBalanceRead(event: GasBalanceRead): void
  gasSpent(event: GasSpent): void
  facilitatorServed(event: FacilitatorServed): void
  tunnelOpened(event: TunnelOpened): void
  tunnelClosed(event: TunnelClosed): void
  /** Something broke: an outcome that nobody expected. */
  errorReported(event: ErrorReported): void
  workerEnded(event: WorkerEnded): void
}

/**
 * Tells several observers in turn; each implements what it cares for. One that throws is warned of
 * once and does not keep the others, or the request, from going on.
 */
export function combineObservers(
  ...observers: readonly Partial<GatewayObserver>[]
): GatewayObserver {
  const warnOnce = createWarnOnce()
  const all = <K extends keyof GatewayObserver>(name: K): GatewayObserver[K] => {
    const interested = observers.filter(observer => observer[name] !== undefined)
    const tell = (event: Parameters<GatewayObserver[K]>[0]): void => {
      for (const observer of interested) {
        try {
          const listener = observer[name] as (told: typeof event) => void // the filter found it
          listener.call(observer, event)
        } catch (error) {
          warnOnce(observer, error)
        }
      }
    }
    return tell as GatewayObserver[K] // TypeScript cannot see that K names one listener
  }
  return {
    requestFinished: all('requestFinished'),
    facilitatorAnswered: all('facilitatorAnswered'),
    extensionAnswered: all('extensionAnswered'),
    facilitatorChanged: all('facilitatorChanged'),
    upstreamChanged: all('upstreamChanged'),
    upstreamRefused: all('upstreamRefused'),
    configReloaded: all('configReloaded'),
    claimResolved: all('claimResolved'),
    settlementChecked: all('settlementChecked'),
    gasBalanceRead: all('gasBalanceRead'),
    gasSpent: all('gasSpent'),
    facilitatorServed: all('facilitatorServed'),
    tunnelOpened: all('tunnelOpened'),
    tunnelClosed: all('tunnelClosed'),
    errorReported: all('errorReported'),
    workerEnded: all('workerEnded'),
  }
}

function createWarnOnce(): (observer: object, error: unknown) => void {
  const warned = new WeakSet<object>()
  return (observer, error) => {
    if (warned.has(observer)) return
    warned.add(observer)
    process.emitWarning(error instanceof Error ? error : String(error), {
      code: 'FAREBOX_OBSERVER',
    })
  }
}
