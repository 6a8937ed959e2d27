import type { VerifyLimits } from '../config/limits-config.ts'
import type { Payment } from '../core/payment.ts'
import type { Clock } from '../core/time.ts'
import { payerName } from '../x402/claimed-payer.ts'
import { type Budget, type BudgetInForce, budgetInForce } from './budget.ts'
import type { Rate, RateCounters } from './rate-counters.ts'
import { createRecentPayers } from './recent-payers.ts'

/** Why nobody looks into a payment, or asks about it. */
export type Barrier =
  | 'refused_payer'
  | 'refused_address'
  | 'payer_concurrency'
  | 'address_concurrency'
  | 'newcomers'
  | 'smart_wallets'
  | 'strangers'

export interface Barred {
  readonly kind: 'barred'
  readonly by: Barrier
  readonly retryAfterMs: number
}

export type Look = Barred | { readonly kind: 'worth-it' }

export type Entry =
  | Barred
  | { readonly kind: 'entered'; leave(found: 'valid' | 'invalid' | 'unavailable'): void }

/** Whoever pays, and whether it is certain that the payment is by its key. */
export type SignedBy = Pick<Payment, 'payer' | 'signature'>

/**
 * Keeps payments that are worth nothing from costing facilitators' time and ours. Whoever has paid
 * here lately is held back, where it has paid from, for nothing but its own refusals: only its key
 * can have made them, so that no stranger, from whatever address, can close it out.
 */
export interface VerificationGate {
  /**
   * Whether it is worth finding out whose signature it is, which is the dearest of our own checks.
   *
   * @param group   Of the client's address.
   * @param claimed Who the payment names, unchecked.
   */
  look(group: string, claimed: string | null): Look
  /** Whether a facilitator may be asked. */
  enter(group: string, payment: SignedBy): Entry
  /** A payment was refused here. */
  refused(group: string): void
  /** The chain or a facilitator refused to move the money of a payment. */
  notSettled(payment: SignedBy): void
  paid(group: string, payment: SignedBy): void
  /** A payment was looked into and turned out to be settled, and its response to be owed. */
  owed(group: string, payment: SignedBy): void
}

export interface VerificationGateParts {
  readonly clock: Clock
  readonly rates: RateCounters
  /** Asked for each payment, because a reload may change them. */
  readonly limits: () => VerifyLimits
  /** Gateways that share what facilitators bear evenly, as workers do. Default: this one alone. */
  readonly sharers?: number
}

const MOMENT_MS = 1000
const WORTH_IT: Look = { kind: 'worth-it' }

export function createVerificationGate(parts: VerificationGateParts): VerificationGate {
  return new Gate(parts)
}

/** One verification that runs. */
interface Asked {
  /** Who has no more than so many at once: payers and groups of addresses. */
  readonly subjects: readonly string[]
  /** Whose refusal it is, should it be one. */
  readonly payer: string | null
  readonly group: string | null
  /** What it was taken from. */
  readonly budgets: readonly (Budget | null)[]
}

class Gate implements VerificationGate {
  readonly #rates: RateCounters
  readonly #limits: () => VerifyLimits
  /** Who has paid. */
  readonly #recent
  /** The same, each with a group of addresses that it has paid from. */
  readonly #atHome
  /** Verifications that run, by payer and by group of addresses. */
  readonly #running = new Map<string, number>()
  readonly #newcomers: BudgetInForce
  readonly #smartWallets: BudgetInForce
  readonly #unknown: BudgetInForce
  readonly #abroad: BudgetInForce
  readonly #besideJunk: BudgetInForce

  constructor({ clock, rates, limits, sharers = 1 }: VerificationGateParts) {
    this.#rates = rates
    this.#limits = limits
    this.#recent = createRecentPayers(clock)
    this.#atHome = createRecentPayers(clock)
    this.#newcomers = budgetInForce(clock, sharers)
    this.#smartWallets = budgetInForce(clock, sharers)
    // What they hold in is a processor's work, and each gateway has one of its own.
    this.#unknown = budgetInForce(clock)
    this.#abroad = budgetInForce(clock)
    this.#besideJunk = budgetInForce(clock)
  }

  look(group: string, claimed: string | null): Look {
    const hasPaid = claimed !== null && this.#recent.has(claimed)
    const suspended = this.#suspended(group)
    if (suspended !== null && !hasPaid) return suspended
    const budget = this.#budgetToLook(group, claimed)
    return budget === null || budget.take() ? WORTH_IT : barred('strangers', budget.waitMs())
  }

  enter(group: string, payment: SignedBy): Entry {
    const limits = this.#limits()
    const payer = payerName(payment.payer)
    const look = this.#budgetToLook(group, payer)
    if (payment.signature !== 'recovered') return this.#enterUnsigned(group, look)
    const refused = this.#rates.look(refusedPayer(limits), payer)
    if (refused.count >= limits.refused.requests) return barred('refused_payer', refused.resetMs)
    if (this.#runs(payer) >= limits.payerMax) return barred('payer_concurrency')
    if (this.#recent.has(payer)) {
      return this.#begin({ subjects: [payer], payer, group: null, budgets: [look] })
    }
    const address = this.#overAddress(group)
    if (address !== null) return address
    const budget = this.#newcomers(limits.newcomers)
    if (!budget.take()) return barred('newcomers', budget.waitMs())
    return this.#begin({ subjects: [payer, group], payer, group, budgets: [look, budget] })
  }

  refused(group: string): void {
    this.#rates.add(refusedAddress(this.#limits()), group)
  }

  notSettled({ payer, signature }: SignedBy): void {
    if (signature !== 'recovered') return
    this.#rates.add(refusedPayer(this.#limits()), payerName(payer))
  }

  paid(group: string, { payer, signature }: SignedBy): void {
    if (signature !== 'recovered') return
    this.#recent.add(payerName(payer))
    this.#atHome.add(at(group, payerName(payer)))
  }

  owed(group: string, payment: SignedBy): void {
    this.#budgetToLook(group, payerName(payment.payer))?.giveBack()
    this.paid(group, payment)
  }

  /** A smart wallet's payment, or a forgery: anybody can write the name, so the address stands. */
  #enterUnsigned(group: string, look: Budget | null): Entry {
    const budget = this.#smartWallets(this.#limits().smartWallets)
    const address = this.#overAddress(group)
    if (address === null && budget.take()) {
      return this.#begin({ subjects: [group], payer: null, group, budgets: [look, budget] })
    }
    // Under the name of somebody who is at home there, nothing else would bound it.
    this.refused(group)
    return address ?? barred('smart_wallets', budget.waitMs())
  }

  #overAddress(group: string): Barred | null {
    const suspended = this.#suspended(group)
    if (suspended !== null) return suspended
    return this.#runs(group) >= this.#limits().addressMax ? barred('address_concurrency') : null
  }

  /** Not null: payments from there were refused too often. */
  #suspended(group: string): Barred | null {
    const limits = this.#limits()
    const address = this.#rates.look(refusedAddress(limits), group)
    const isOver = address.count >= limits.refused.requests
    return isOver ? barred('refused_address', address.resetMs) : null
  }

  /**
   * To write the name of somebody who has paid costs a stranger nothing, and who has paid may have
   * moved, or have such a neighbour: none of them uses up what others have. Null: without a bound.
   */
  #budgetToLook(group: string, claimed: string | null): Budget | null {
    const { strangers } = this.#limits()
    if (claimed === null || !this.#recent.has(claimed)) return this.#unknown(strangers)
    if (!this.#atHome.has(at(group, claimed))) return this.#abroad(strangers)
    return this.#suspended(group) === null ? null : this.#besideJunk(strangers)
  }

  #runs(subject: string): number {
    return this.#running.get(subject) ?? 0
  }

  #begin({ subjects, payer, group, budgets }: Asked): Entry {
    for (const subject of subjects) this.#running.set(subject, this.#runs(subject) + 1)
    return {
      kind: 'entered',
      leave: found => {
        for (const subject of subjects) this.#end(subject)
        // What is worth something does not count against what is worth nothing.
        if (found === 'valid') for (const budget of budgets) budget?.giveBack()
        if (found !== 'invalid') return
        const limits = this.#limits()
        if (payer !== null) this.#rates.add(refusedPayer(limits), payer)
        if (group !== null) this.#rates.add(refusedAddress(limits), group)
      },
    }
  }

  #end(subject: string): void {
    const left = this.#runs(subject) - 1
    if (left > 0) this.#running.set(subject, left)
    else this.#running.delete(subject)
  }
}

/** Groups of addresses have no space. */
function at(group: string, payer: string): string {
  return `${group} ${payer}`
}

function barred(by: Barrier, retryAfterMs: number = MOMENT_MS): Barred {
  return { kind: 'barred', by, retryAfterMs }
}

function refusedPayer({ refused }: VerifyLimits): Rate {
  return { id: 'refused payer', ...refused }
}

function refusedAddress({ refused }: VerifyLimits): Rate {
  return { id: 'refused address', ...refused }
}
