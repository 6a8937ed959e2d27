import type { RateConfig, VerifyLimits } from '../config/limits-config.ts'
import type { Payment } from '../core/payment.ts'
import type { Clock } from '../core/time.ts'
import { payerName } from '../x402/claimed-payer.ts'
import { type Budget, createBudget } from './budget.ts'
import type { Rate, RateCounters } from './rate-counters.ts'
import { createRecentPayers } from './recent-payers.ts'

/** Why nobody is asked about a payment. */
export type Barrier =
  | 'refused_payer'
  | 'refused_address'
  | 'payer_concurrency'
  | 'address_concurrency'
  | 'newcomers'
  | 'smart_wallets'

export type Entry =
  | { readonly kind: 'barred'; readonly by: Barrier; readonly retryAfterMs: number }
  | { readonly kind: 'entered'; leave(found: 'valid' | 'invalid' | 'unavailable'): void }

/**
 * Keeps payments that are worth nothing from costing facilitators' time and ours. Whoever has paid
 * here lately is held back for nothing but its own refusals: only its key can have made them, so
 * that no stranger, from whatever address, can close it out.
 */
export interface VerificationGate {
  /**
   * Whether it is worth finding out whose signature it is.
   *
   * @param group   Of the client's address.
   * @param claimed Asked for only where the address was refused too often.
   */
  mayCheck(group: string, claimed: () => string | null): boolean
  enter(group: string, payment: Pick<Payment, 'payer' | 'signature'>): Entry
  /** A payment was refused here; `claimed` is who it named. */
  refused(group: string, claimed: () => string | null): void
  /** The chain or a facilitator refused to move the money of a payment. */
  notSettled(payment: Pick<Payment, 'payer' | 'signature'>): void
  paid(payment: Pick<Payment, 'payer' | 'signature'>): void
}

export interface VerificationGateParts {
  readonly clock: Clock
  readonly rates: RateCounters
  /** Asked for each payment, because a reload may change them. */
  readonly limits: () => VerifyLimits
  /** Gateways that share the budgets evenly, as workers do. Default: this one alone. */
  readonly sharers?: number
}

/**
 * Payments in the name of somebody who has paid, from an address that was refused too often: each
 * is worth a look, as it may be that payer's, and a few that are not his are enough.
 */
const FORGERIES: Rate = { id: 'forgeries', requests: 5, perMs: 60_000 }

const MOMENT_MS = 1000

export function createVerificationGate(parts: VerificationGateParts): VerificationGate {
  return new Gate(parts)
}

class Gate implements VerificationGate {
  readonly #rates: RateCounters
  readonly #limits: () => VerifyLimits
  readonly #recent
  /** Verifications that run, by payer and by group of addresses. */
  readonly #running = new Map<string, number>()
  readonly #newcomers: (rate: RateConfig) => Budget
  readonly #smartWallets: (rate: RateConfig) => Budget

  constructor({ clock, rates, limits, sharers = 1 }: VerificationGateParts) {
    this.#rates = rates
    this.#limits = limits
    this.#recent = createRecentPayers(clock)
    this.#newcomers = budgetInForce(clock, sharers)
    this.#smartWallets = budgetInForce(clock, sharers)
  }

  mayCheck(group: string, claimed: () => string | null): boolean {
    if (!this.#isSuspended(group)) return true
    const payer = claimed()
    if (payer === null || !this.#recent.has(payer)) return false
    return this.#rates.look(FORGERIES, `${group} ${payer}`).count < FORGERIES.requests
  }

  enter(group: string, payment: Pick<Payment, 'payer' | 'signature'>): Entry {
    const limits = this.#limits()
    const payer = payerName(payment.payer)
    const isPayers = payment.signature === 'recovered'
    if (isPayers) {
      const refused = this.#rates.look(refusedPayer(limits), payer)
      if (refused.count >= limits.refused.requests) return barred('refused_payer', refused.resetMs)
      if (this.#runs(payer) >= limits.payerMax) return barred('payer_concurrency')
      if (this.#recent.has(payer)) return this.#begin([payer], { payer })
    }
    const address = this.#rates.look(refusedAddress(limits), group)
    if (address.count >= limits.refused.requests) return barred('refused_address', address.resetMs)
    if (this.#runs(group) >= limits.addressMax) return barred('address_concurrency')
    const budget = isPayers
      ? this.#newcomers(limits.newcomers)
      : this.#smartWallets(limits.smartWallets)
    if (!budget.take()) return barred(isPayers ? 'newcomers' : 'smart_wallets')
    const running = isPayers ? [payer, group] : [group]
    return this.#begin(running, { payer: isPayers ? payer : null, group, budget })
  }

  refused(group: string, claimed: () => string | null): void {
    if (this.#isSuspended(group)) {
      this.#rates.add(FORGERIES, `${group} ${claimed() ?? ''}`)
    } else {
      this.#rates.add(refusedAddress(this.#limits()), group)
    }
  }

  notSettled({ payer, signature }: Pick<Payment, 'payer' | 'signature'>): void {
    if (signature !== 'recovered') return
    this.#rates.add(refusedPayer(this.#limits()), payerName(payer))
  }

  paid({ payer, signature }: Pick<Payment, 'payer' | 'signature'>): void {
    if (signature === 'recovered') this.#recent.add(payerName(payer))
  }

  #isSuspended(group: string): boolean {
    const limits = this.#limits()
    return this.#rates.look(refusedAddress(limits), group).count >= limits.refused.requests
  }

  #runs(subject: string): number {
    return this.#running.get(subject) ?? 0
  }

  #begin(
    subjects: readonly string[],
    asked: { readonly payer: string | null; readonly group?: string; readonly budget?: Budget },
  ): Entry {
    for (const subject of subjects) this.#running.set(subject, this.#runs(subject) + 1)
    return {
      kind: 'entered',
      leave: found => {
        for (const subject of subjects) this.#end(subject)
        // What is worth something does not count against what is worth nothing.
        if (found === 'valid') asked.budget?.giveBack()
        if (found !== 'invalid') return
        const limits = this.#limits()
        if (asked.payer !== null) this.#rates.add(refusedPayer(limits), asked.payer)
        if (asked.group !== undefined) this.#rates.add(refusedAddress(limits), asked.group)
      },
    }
  }

  #end(subject: string): void {
    const left = this.#runs(subject) - 1
    if (left > 0) this.#running.set(subject, left)
    else this.#running.delete(subject)
  }
}

function barred(by: Barrier, retryAfterMs: number = MOMENT_MS): Entry {
  return { kind: 'barred', by, retryAfterMs }
}

function refusedPayer({ refused }: VerifyLimits): Rate {
  return { id: 'refused payer', ...refused }
}

function refusedAddress({ refused }: VerifyLimits): Rate {
  return { id: 'refused address', ...refused }
}

/** The budget of the configuration in force; a new one begins full. */
function budgetInForce(clock: Clock, sharers: number): (rate: RateConfig) => Budget {
  let inForce: { readonly rate: RateConfig; readonly budget: Budget } | null = null
  return rate => {
    const { requests, perMs } = rate
    if (inForce?.rate.requests === requests && inForce.rate.perMs === perMs) return inForce.budget
    const perSecond = requests / (perMs / 1000) / sharers
    const burst = Math.max(1, Math.floor(requests / sharers))
    inForce = { rate, budget: createBudget(clock, { perSecond, burst }) }
    return inForce.budget
  }
}
