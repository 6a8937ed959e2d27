import { isGatewayWallet } from '../core/gateway-wallet.ts'
import type { NetworkId, Payment } from '../core/payment.ts'
import type { Clock, UnixMs } from '../core/time.ts'
import { FareboxError } from '../errors.ts'
import {
  type ChainReader,
  ChainUnavailableError,
  type ChainView,
  type SignedTransferOnChain,
} from '../networks/chain-reader.ts'
import type { GatewayObserver, SettlementChecked } from '../observe/events.ts'
import { onChain, readUnique } from '../x402/stored-payment.ts'
import { type AlarmOptions, startAlarm } from './alarm.ts'
import { paymentId } from './fingerprint.ts'

/** Looks on the chain for settlements that a facilitator has told of. Nobody waits for it. */
export interface SettlementCheck {
  /** Where no node of the network is named, there is nothing to ask. */
  add(payment: Payment, settled: { readonly route: string; readonly transaction: string }): void
  /** How many the chain knows nothing of, or something else, since the start. */
  readonly differences: number
  /** What was not looked at yet is left to `farebox ledger reconcile`. */
  close(): Promise<void>
}

export interface SettlementCheckParts extends AlarmOptions {
  chain(network: NetworkId): ChainReader | null
  readonly clock: Clock
  readonly observer: Pick<GatewayObserver, 'settlementChecked' | 'errorReported'>
}

/** The chain does not have what a facilitator said that it settled. The ledger is as it was. */
export class SettlementDiffersError extends FareboxError {
  readonly code = 'settlement_differs'

  constructor({ network, payment }: Suspect, transaction: string, outcome: string) {
    super(
      `The facilitator said that ${transaction} on ${network} settled payment ` +
        `${paymentId(payment.key)}, and the chain does not have it so: ${outcome}.`,
      {
        fix: `Run "farebox ledger show ${transaction}" and "farebox ledger reconcile" (docs/recovery.md).`,
      },
    )
  }
}

interface Suspect {
  readonly payment: Payment
  readonly network: NetworkId
  readonly route: string
  readonly transaction: string
  readonly createdAt: UnixMs
  dueAt: number
  looks: number
}

type Outcome = SettlementChecked['outcome']

/** Between the looks: a node may lag behind the one that the facilitator asked. */
const PAUSES_MS = [3_000, 15_000, 60_000, 240_000]
const LOOK_EVERY_MS = 1_000
/** Settlements that wait for a look at most. One more is counted as skipped. */
const WAITING_MAX = 1_000
/** Looks at the same time: nodes are somebody's, and the resolver needs them more. */
const LOOKS_MAX = 4
const DIFFERENCES: ReadonlySet<Outcome> = new Set([
  ...(['transaction_differs', 'nothing_moved', 'cancelled', 'used_otherwise'] as const),
])

export function startSettlementCheck(
  parts: SettlementCheckParts,
  waitingMax = WAITING_MAX,
): SettlementCheck {
  return new ChainCheck(parts, waitingMax)
}

class ChainCheck implements SettlementCheck {
  readonly #parts: SettlementCheckParts
  readonly #waitingMax: number
  readonly #waiting = new Set<Suspect>()
  readonly #looking = new Set<Suspect>()
  readonly #alarm
  #closed = false
  differences = 0

  constructor(parts: SettlementCheckParts, waitingMax: number) {
    this.#parts = parts
    this.#waitingMax = waitingMax
    this.#alarm = startAlarm(async () => {
      this.#startDue()
      return LOOK_EVERY_MS
    }, parts)
  }

  add(payment: Payment, { route, transaction }: { route: string; transaction: string }): void {
    const { network, extra } = payment.offer.requirements
    // What was paid from a balance at Circle is on no chain to look at.
    if (isGatewayWallet(extra) || this.#parts.chain(network) === null) return
    if (this.#waiting.size + this.#looking.size >= this.#waitingMax) {
      this.#parts.observer.settlementChecked({ network, route, outcome: 'skipped' })
      return
    }
    const createdAt = this.#parts.clock()
    const dueAt = createdAt + (PAUSES_MS[0] ?? 0)
    const told = { payment, network, route, transaction, createdAt }
    this.#waiting.add({ ...told, dueAt, looks: 0 })
  }

  async close(): Promise<void> {
    this.#closed = true
    await this.#alarm.close()
  }

  #startDue(): void {
    const now = this.#parts.clock()
    for (const suspect of this.#waiting) {
      if (this.#closed || this.#looking.size >= LOOKS_MAX) return
      if (suspect.dueAt > now) continue
      this.#waiting.delete(suspect)
      this.#looking.add(suspect)
      void this.#look(suspect).finally(() => {
        this.#looking.delete(suspect)
        this.#startDue()
      })
    }
  }

  /** Never rejects. */
  async #look(suspect: Suspect): Promise<void> {
    const { outcome, isSure } = await this.#ask(suspect)
    if (this.#closed) return
    suspect.looks++
    const pauseMs = PAUSES_MS[suspect.looks]
    if (isSure || pauseMs === undefined) return this.#tell(suspect, outcome)
    suspect.dueAt = this.#parts.clock() + pauseMs
    this.#waiting.add(suspect)
  }

  /** `isSure`: no later look can say anything else. */
  async #ask(suspect: Suspect): Promise<{ outcome: Outcome; isSure: boolean }> {
    const { payment, network, transaction, createdAt } = suspect
    const chain = this.#parts.chain(network)
    // A reload has taken its nodes away.
    if (chain === null) return { outcome: 'skipped', isSure: true }
    const transfer = toTransfer(payment)
    if (transfer === null) return { outcome: 'unproven', isSure: true }
    try {
      const view = await chain.look(transfer, { transaction, createdAt })
      return judge(view, suspect)
    } catch (error) {
      if (!(error instanceof ChainUnavailableError)) {
        this.#parts.observer.errorReported({ error, requestId: null })
      }
      return { outcome: 'unavailable', isSure: false }
    }
  }

  #tell(suspect: Suspect, outcome: Outcome): void {
    const { observer } = this.#parts
    const { network, route, transaction } = suspect
    observer.settlementChecked({ network, route, outcome })
    if (!DIFFERENCES.has(outcome)) return
    this.differences++
    const error = new SettlementDiffersError(suspect, transaction, outcome)
    observer.errorReported({ error, requestId: null })
  }
}

function judge(
  { use, final }: ChainView,
  { transaction, payment }: Suspect,
): { outcome: Outcome; isSure: boolean } {
  if (use === null) {
    return { outcome: 'nothing_moved', isSure: final.timestamp > payment.validBefore }
  }
  switch (use.kind) {
    case 'transfer': {
      const isSame = use.transaction.toLowerCase() === transaction.toLowerCase()
      return { outcome: isSame ? 'confirmed' : 'transaction_differs', isSure: true }
    }
    case 'voided': {
      const outcome = use.how === 'cancelled' ? 'cancelled' : 'used_otherwise'
      return { outcome, isSure: use.block <= final.number }
    }
    case 'unproven':
      return { outcome: 'unproven', isSure: false }
  }
}

/** Null where no chain makes the payment unique, as far as we know. */
function toTransfer(payment: Payment): SignedTransferOnChain | null {
  const { extra } = payment.offer.requirements
  const stored = readUnique(payment.payload.payload, isGatewayWallet(extra))
  const unique = stored && onChain({ unique: stored })
  if (unique === null) return null
  const { requirements, amount } = payment.offer
  const { asset: token, payTo } = requirements
  const { payer, validBefore } = payment
  return { ...unique, token, payTo, payer, amount, validBefore }
}
