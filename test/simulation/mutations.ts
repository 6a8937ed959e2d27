import type { Rule } from './rules.ts'

/** One fault, planted in the text of a source file. */
export interface Mutation {
  readonly name: string
  /** Under src/. */
  readonly file: string
  /** Stands in the file exactly once. */
  readonly source: string
  readonly replacement: string
  /** Which rules may be what catches it. */
  readonly caughtBy: readonly [Rule, ...Rule[]]
  /**
   * A seed that has shown it, tried before all others where those are many. When it shows it no
   * more, the others are tried as without it.
   */
  readonly shownBy?: number
}

/** Faults that the simulation must catch. */
export const MUTATIONS: readonly [Mutation, ...Mutation[]] = [
  {
    name: 'content is served though the settlement is unknown',
    file: 'flow/sell.ts',
    source: "if (settlement.kind === 'settled') return await paidReply(purchase, id, outcome)",
    replacement: "if (settlement.kind !== 'rejected') return paidReply(purchase, id, outcome)",
    caughtBy: ['paid before bytes'],
  },
  {
    name: 'work is done up front though the settlement is unknown',
    file: 'flow/sell.ts',
    source: "if (settlement.kind !== 'settled') return unpaidReply(purchase, settlement)",
    replacement: "if (settlement.kind === 'rejected') return unpaidReply(purchase, settlement)",
    caughtBy: ['paid before bytes', 'one execution', 'nothing unexpected'],
  },
  {
    name: 'a payment of unknown fate is released',
    file: 'flow/sell.ts',
    source: '.markUnknown(id, settlement.detail, settlement.transaction)',
    replacement: '.release(id, settlement.detail)',
    caughtBy: [
      'released for good',
      'transfer has its row',
      'no 402 after a settle',
      'settles what is written',
    ],
  },
  {
    name: 'the response leaves before the settlement is durable',
    file: 'flow/sell.ts',
    source: 'return ledger.markSettled(id, settlement.receipt).then(',
    replacement:
      'ledger.markSettled(id, settlement.receipt).catch(() => {}); return Promise.resolve().then(',
    caughtBy: ['paid before bytes', 'one execution'],
  },
  {
    name: 'a settle leaves before it is written down',
    file: 'flow/sell.ts',
    source: 'await ledger.markSettling(id)',
    replacement: 'ledger.markSettling(id).catch(() => {})',
    caughtBy: ['settles what is written'],
  },
  {
    name: 'a settle up front is claimed as if none were about to leave',
    file: 'flow/purchase.ts',
    source: "route.settle === 'before-upstream' ? 'settling' : 'forwarded'",
    replacement: "'forwarded'",
    caughtBy: ['settles what is written'],
  },
  {
    name: 'a response that broke off counts as delivered',
    file: 'flow/redeem.ts',
    source: "return writeEnd(purchase, id, delivery === 'delivered')",
    replacement: 'return writeEnd(purchase, id, true)',
    caughtBy: ['redeemable'],
  },
  {
    name: "an upstream's error is charged",
    file: 'flow/sell.ts',
    source: 'visit.exchange.clientGone || !route.isBillable(status, headers)',
    replacement: 'visit.exchange.clientGone',
    caughtBy: ['redeemable'],
  },
  {
    name: 'a response that streams for long is held no longer than any other',
    file: 'flow/hold-renewal.ts',
    source: 'kept.add(delivery)',
    replacement: '',
    caughtBy: ['one execution'],
    shownBy: 177,
  },
  {
    name: 'a delivery that the store missed is never written',
    file: 'flow/delivery-record.ts',
    source: 'if (error instanceof StoreUnavailableError) this.#keep(end)',
    replacement: '',
    caughtBy: ['one execution'],
    shownBy: 67,
  },
  {
    name: 'what the upstream failed to serve stays held after a redemption',
    file: 'flow/redeem.ts',
    source: `    await writeEnd(purchase, id, false)
    return withReceipt(upstreamFailure(outcome), purchase, receipt)`,
    replacement: '    return withReceipt(upstreamFailure(outcome), purchase, receipt)',
    caughtBy: ['redeemable'],
  },
  {
    name: 'a payment that another gateway has spent meanwhile is refused',
    file: 'flow/redeem.ts',
    source: "if (known.kind !== 'unclaimed') return answerKnown(purchase, known)",
    replacement: '',
    caughtBy: ['no 402 after a settle', 'redeemable'],
    shownBy: 110,
  },
  {
    name: 'the ledger is not asked before a payment is refused as too old',
    file: 'flow/handle-request.ts',
    source: "if (check.kind === 'refused') return",
    replacement: "if (check.kind !== 'passed') return",
    caughtBy: ['no 402 after a settle'],
  },
  {
    name: 'a known payment is taken for a new one',
    file: 'flow/handle-request.ts',
    source: "if (known.kind !== 'unclaimed') return answerKnown(purchase, known)",
    replacement: '',
    caughtBy: ['redeemable', 'no 402 after a settle'],
  },
  {
    name: 'a hold is shorter than the work that it protects',
    file: 'flow/purchase.ts',
    source: 'visit.house.clock() + workMsMax + HOLD_MARGIN_MS',
    replacement: 'visit.house.clock() + 500',
    caughtBy: ['one execution', 'nothing unexpected', 'settles what is written'],
  },
  {
    name: 'an unused payment is released by a block that may be replaced',
    file: 'flow/judge-chain.ts',
    source: 'if (final.timestamp > validBefore) return',
    replacement: 'if (latest.timestamp > validBefore) return',
    caughtBy: ['released for good', 'transfer has its row', 'no 402 after a settle'],
  },
  {
    name: 'a cancellation counts before it is final',
    file: 'flow/judge-chain.ts',
    source: "if (use.block > final.number) return { kind: 'open', reason: 'not_final' }",
    replacement: '',
    caughtBy: ['released for good', 'transfer has its row', 'no 402 after a settle'],
    shownBy: 58,
  },
  {
    name: "without a node, a facilitator's refusal ends a payment",
    file: 'flow/resolve-claim.ts',
    source: 'return { ...open, repeated: true, transaction: namedBy(settlement) ?? transaction }',
    replacement: "return { kind: 'released', reason: 'refused' }",
    caughtBy: ['released for good', 'transfer has its row', 'no 402 after a settle'],
  },
  {
    name: 'the resolver forgets to end the hold',
    file: 'flow/resolver.ts',
    source: 'await ledger.endHold(id)',
    replacement: '',
    caughtBy: ['redeemable'],
  },
  {
    name: 'the resolver sends other bytes than the first settle',
    file: 'x402/stored-payment.ts',
    source: 'payload: payload as PaymentPayload,',
    replacement: 'payload: checked.data as PaymentPayload,',
    caughtBy: ['settles what is written'],
  },
  {
    name: 'a settle without an answer counts as not sent',
    file: 'x402/payment-engine.ts',
    source: "return { kind: 'unknown', detail: String(error), transaction }",
    replacement: "return { kind: 'not-sent', retryAfterSeconds: 5 }",
    caughtBy: ['released for good', 'transfer has its row', 'no 402 after a settle'],
  },
  {
    name: 'a success without a transaction counts as a refusal',
    file: 'x402/settle-outcome.ts',
    source: "return { kind: 'unknown', detail: 'success without a transaction', transaction }",
    replacement: "return { kind: 'rejected', reason: 'no transaction' }",
    caughtBy: ['no 402 after a settle', 'released for good', 'transfer has its row'],
    shownBy: 178,
  },
  {
    name: 'a payment that is being worked for is taken over',
    file: 'ledger/claim-rules.ts',
    source: "(state === 'forwarded' && now >= heldUntil)",
    replacement: "state === 'forwarded'",
    caughtBy: ['one execution', 'nothing unexpected'],
    shownBy: 49,
  },
  {
    name: 'one payment buys another request',
    file: 'ledger/claim-rules.ts',
    source: "if (existing.fingerprint !== asked.fingerprint) return 'other-request'",
    replacement: '',
    caughtBy: ['one request'],
  },
  {
    name: 'a payment that is being redeemed is redeemed again',
    file: 'ledger/claim-rules.ts',
    source: "if (held) return 'in-progress'",
    replacement: '',
    caughtBy: ['one execution'],
    shownBy: 67,
  },
  {
    name: 'an entitlement does not hold the payment',
    file: 'ledger/sqlite-claims.ts',
    source: 'held_until = ?, redeemable_ms = ?',
    replacement: 'held_until = 0 * ?, redeemable_ms = ?',
    caughtBy: ['one execution', 'nothing unexpected'],
    shownBy: 54,
  },
  {
    name: 'a delivered payment is redeemed again',
    file: 'ledger/claim-rules.ts',
    source: "case 'delivered':\n      return 'used'",
    replacement: "case 'delivered':\n      return 'entitled'",
    caughtBy: ['one execution'],
  },
  {
    name: 'upkeep releases what is being settled',
    file: 'ledger/sqlite-upkeep.ts',
    source: "AND state = 'forwarded' AND held_until <= ?2",
    replacement: "AND state IN ('forwarded', 'settling')",
    caughtBy: [
      ...(['released for good', 'transfer has its row', 'no 402 after a settle'] as const),
      ...(['nothing unexpected', 'settles what is written'] as const),
    ],
  },
  {
    name: 'nobody takes up what was left open',
    file: 'ledger/sqlite-upkeep.ts',
    source: "state IN ('settling', 'unknown') AND held_until <= ?2",
    replacement: "state IN ('unknown') AND held_until <= ?2",
    caughtBy: ['everything ends'],
  },
]
