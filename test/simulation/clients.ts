import type { Answer, Asked } from './exchange.ts'
import type { SimulatedGateway, Surroundings } from './gateway.ts'
import { PAYMENTS, type SignedPayment } from './shop.ts'

interface Purchase {
  readonly method: string
  readonly target: string
  /** Signed for it, one after the other: a new one only when a 402 asks for it. */
  readonly payments: SignedPayment[]
}

/** Signed for one purchase at most, whatever it is told. */
const PAYMENTS_MAX = 4
const ATTEMPTS_MAX = 40
/** Beyond every hold, and within the longest response. */
const LATER_MS_MAX = 150_000

/** Those who buy: the honest, the impatient, those who send twice, and those who cheat. */
export class Clients {
  readonly purchases: Purchase[] = []
  /** Purchases and requests that are still going on. */
  unfinished = 0
  readonly #around: Surroundings
  readonly #gateways: readonly SimulatedGateway[]
  readonly #wallet: SignedPayment[]
  /** For what a payment was ever presented. */
  readonly #presented = new Map<SignedPayment, Map<string, string>>()
  #requests = 0

  constructor(around: Surroundings, gateways: readonly SimulatedGateway[]) {
    this.#around = around
    this.#gateways = gateways
    const { random } = around.world
    this.#wallet = PAYMENTS.map(payment => ({ payment, order: random.next() }))
      .sort((one, other) => one.order - other.order)
      .map(({ payment }) => payment)
  }

  start(): void {
    const { world, plan } = this.#around
    for (let shopper = 0; shopper < plan.shoppers; shopper++) {
      const method = world.random.chance(0.6) ? 'GET' : 'POST'
      const kind = method === 'GET' ? 'weather' : 'report'
      const target = `/v1/${kind}/${shopper}`
      world.after(world.random.between(0, plan.troubleMs * 0.7), () => {
        this.#track(this.#shop({ method, target, payments: [] }))
      })
    }
  }

  /** Presents a payment once more for everything that it was ever presented for. */
  async redeem(payment: SignedPayment): Promise<boolean> {
    for (const [target, method] of this.#presented.get(payment) ?? []) {
      const answer = await this.#ask({ payment, target, method })
      if (isContent(answer)) return true
    }
    return false
  }

  async #shop(purchase: Purchase): Promise<void> {
    const { world } = this.#around
    this.purchases.push(purchase)
    let payment = this.#sign(purchase)
    for (let attempt = 0; attempt < ATTEMPTS_MAX && payment !== null; attempt++) {
      const answer = await this.#buy({ ...purchase, payment })
      if (isContent(answer)) return
      if (answer.kind === 'answer') {
        const { status, outcome } = answer
        if (outcome === 'payment_already_used' || outcome === 'payment_for_other_request') return
        if (status === 402) payment = this.#sign(purchase)
        if (outcome === 'not_billable' && world.random.chance(0.3)) return
      }
      await world.sleep(world.random.between(1_000, 6_000))
    }
  }

  #sign(purchase: Purchase): SignedPayment | null {
    const { world, plan, chain } = this.#around
    const soonest = world.seconds + (world.random.chance(0.85) ? 15 : 0)
    const index = this.#wallet.findIndex(({ validBefore }) => validBefore > soonest)
    const [payment] = index === -1 ? [] : this.#wallet.splice(index, 1)
    if (payment === undefined || purchase.payments.length >= PAYMENTS_MAX) return null
    purchase.payments.push(payment)
    if (world.random.chance(0.05)) chain.poor.add(payment.nonce)
    world.tell('client', `signs ${payment.name} for ${purchase.target}`)
    if (world.mishap(plan.strangers / 2)) this.#meddle('transfer', payment)
    if (world.mishap(plan.strangers / 4)) this.#meddle('cancel', payment)
    for (let count = 0; count < 3; count++) if (world.mishap(plan.cheats)) this.#cheat(payment)
    return payment
  }

  /** Whoever has the signature may submit it, and the payer may cancel it. */
  #meddle(kind: 'transfer' | 'cancel', payment: SignedPayment): void {
    const { world, chain } = this.#around
    world.after(world.random.latency(0, 30_000), () => chain.submit(kind, payment, 'stranger'))
  }

  /** The same payment, for something else. */
  #cheat(payment: SignedPayment): void {
    const { world } = this.#around
    const method = world.random.pick(['GET', 'POST'])
    const target = `/v1/${method === 'GET' ? 'weather' : 'report'}/elsewhere`
    world.after(world.random.latency(10, 60_000), () => {
      this.#track(this.#ask({ payment, method, target }))
    })
  }

  async #buy(asked: Omit<Asked, 'number'>): Promise<Answer> {
    const { world, plan } = this.#around
    const first = this.#ask(asked)
    if (!world.mishap(plan.duplicates)) return first
    // While it is still being delivered, where that takes long.
    const { random } = world
    await world.sleep(
      plan.longBody > 0 ? random.between(0, LATER_MS_MAX) : random.latency(0, 3_000),
    )
    const second = this.#ask(asked)
    const answers = [await first, await second]
    // Whoever hears from one of two gateways that the payment is taken does not sign another.
    const isTaken = (answer: Answer): boolean => answer.kind === 'lost' || answer.status !== 402
    return answers.find(isContent) ?? answers.find(isTaken) ?? first
  }

  async #ask(asked: Omit<Asked, 'number'>): Promise<Answer> {
    const { world, plan } = this.#around
    const { payment, target, method } = asked
    await world.sleep(world.random.latency(1, 50))
    const up = this.#gateways.filter(gateway => gateway.isUp)
    const gateway = up[world.random.between(0, up.length - 1)]
    const exchange = gateway?.accept({ ...asked, number: ++this.#requests }) ?? null
    if (exchange === null) return { kind: 'lost' }
    const presented = this.#presented.get(payment) ?? new Map<string, string>()
    this.#presented.set(payment, presented.set(target, method))
    if (world.mishap(plan.impatience)) {
      world.after(world.random.latency(1, 9_000), () => exchange.leave())
    }
    return exchange.answer
  }

  #track(work: Promise<unknown>): void {
    this.unfinished++
    const { invariants } = this.#around
    work
      .catch((error: unknown) => invariants.unexpected(`a client fails: ${String(error)}`))
      .finally(() => this.unfinished--)
  }
}

function isContent(answer: Answer): boolean {
  return answer.kind === 'answer' && answer.whole && answer.status >= 200 && answer.status <= 399
}
