import {
  type ChainBlock,
  type ChainReader,
  ChainUnavailableError,
  type ChainView,
} from '../../src/networks/chain-reader.ts'
import { keccak256 } from '../../src/x402/keccak.ts'
import type { Plan } from './plan.ts'
import { AMOUNT, PAYMENTS, type SignedPayment } from './shop.ts'
import { BEGIN_MS, type World } from './world.ts'

export type Sender = 'facilitator' | 'stranger'
type Kind = 'transfer' | 'cancel'

export interface Transaction {
  readonly hash: string
  readonly kind: Kind
  readonly payment: SignedPayment
  readonly sender: Sender
  /** Blocks that it still lets pass. */
  wait: number
  state: 'waiting' | 'mined' | 'reverted' | 'lost'
  readonly watchers: (() => void)[]
}

interface Block extends ChainBlock {
  readonly mined: readonly Transaction[]
}

/** When a transfer moved the money, the first time that a block showed it. */
export interface Landing {
  readonly transaction: Transaction
  readonly at: number
}

const GENESIS: Block = { number: 0n, timestamp: BEGIN_MS / 1000 - 2, mined: [] }

/**
 * An EVM chain as far as signed transfers go: one use of each nonce, in a block younger than
 * `validAfter` and older than `validBefore`.
 *
 * A replaced block never loses a transfer that it had: farebox, as x402 does, believes a transfer
 * once it is mined. What it does lose are cancellations, for those are believed only when final.
 */
export class Chain {
  readonly landed = new Map<string, Landing>()
  /** Payers who have nothing: their transfers revert. */
  readonly poor = new Set<string>()
  readonly #world: World
  readonly #plan: Plan
  #blocks: Block[] = [GENESIS]
  #waiting: Transaction[] = []
  #sent = 0

  constructor(world: World, plan: Plan) {
    this.#world = world
    this.#plan = plan
    this.#tick()
  }

  get seconds(): number {
    return this.#top().timestamp
  }

  submit(kind: Kind, payment: SignedPayment, sender: Sender): Transaction {
    const { late, dropped } = this.#plan.chain
    const { random } = this.#world
    const transaction: Transaction = {
      ...{ kind, payment, sender, watchers: [] },
      hash: `0x${keccak256(Buffer.from(`transaction ${this.#sent++}`)).toString('hex')}`,
      wait: this.#world.mishap(late) ? random.between(2, 60) : 0,
      state: this.#world.mishap(dropped) ? 'lost' : 'waiting',
    }
    this.#waiting.push(transaction)
    if (sender === 'facilitator') this.#overtake(transaction)
    const fate = transaction.state === 'lost' ? ', which will be lost' : ''
    this.#world.tell(sender, `sends ${kind} of ${payment.name} as ${brief(transaction)}${fate}`)
    return transaction
  }

  /** A payer who cancels while the transfer waits, and hopes for the content all the same. */
  #overtake(transfer: Transaction): void {
    if (!this.#world.mishap(this.#plan.strangers * 0.7)) return
    transfer.wait += this.#world.random.between(2, 8)
    this.submit('cancel', transfer.payment, 'stranger')
  }

  /** As of the newest block. */
  useOf(payment: SignedPayment): Transaction | null {
    return findUse(this.#blocks, payment)
  }

  /** What became, or may still become, of the settles that a facilitator sent. */
  fateOfSettles(payment: SignedPayment): 'none' | 'has moved' | 'may still move' {
    const landing = this.landed.get(payment.nonce)
    if (landing !== undefined) {
      return landing.transaction.sender === 'facilitator' ? 'has moved' : 'none'
    }
    const stays = this.#world.troubled ? this.#blocks.slice(0, -this.#plan.chain.finality) : null
    if (findUse(stays ?? this.#blocks, payment) !== null) return 'none'
    const may = this.#waiting.some(
      one =>
        one.payment === payment &&
        one.kind === 'transfer' &&
        one.sender === 'facilitator' &&
        one.state === 'waiting' &&
        !this.poor.has(payment.nonce),
    )
    return may && this.#finalSeconds() <= payment.validBefore ? 'may still move' : 'none'
  }

  reader(actor: string): ChainReader {
    const world = this.#world
    const { nodeFault, chain } = this.#plan
    return {
      look: async (transfer, hints) => {
        await world.sleep(world.random.latency(5, 600))
        if (world.mishap(nodeFault / 2)) {
          world.tell(actor, 'asks a node that does not answer')
          throw new ChainUnavailableError('base-sepolia', 'simulated')
        }
        const lag = world.mishap(nodeFault) ? world.random.between(1, 4) : 0
        const known = this.#blocks.slice(0, Math.max(1, this.#blocks.length - lag))
        const payment = PAYMENTS.find(({ nonce }) => nonce === transfer.nonce)
        const isExact = transfer.amount === AMOUNT && transfer.validBefore === payment?.validBefore
        if (payment === undefined || !isExact) throw new Error('The chain is asked about another.')
        const view = viewOf(known, payment, chain.finality)
        const unproven = view.use !== null && world.mishap(nodeFault / 3)
        await world.sleep(world.random.latency(5, 1_500))
        const said: ChainView = unproven ? { ...view, use: { kind: 'unproven' } } : view
        const named = hints.transaction === null ? '' : ` (named ${hints.transaction.slice(0, 8)})`
        world.tell(actor, `looks for ${payment.name}${named}: ${describe(said)}, lag ${lag}`)
        return said
      },
    }
  }

  #tick(): void {
    const { blockMs, reorg, finality } = this.#plan.chain
    this.#world.after(blockMs, () => {
      const depth = this.#world.mishap(reorg) ? this.#world.random.between(1, finality) : 0
      if (depth > 0 && this.#blocks.length > depth) this.#replace(depth)
      this.#mine(this.#world.seconds)
      this.#tick()
    })
  }

  /** Other blocks in the place of the newest ones, perhaps of an earlier second. */
  #replace(depth: number): void {
    const removed = this.#blocks.splice(-depth)
    for (const { mined } of removed) {
      for (const transaction of mined) transaction.state = 'waiting'
      // A cancellation comes back late, so that a transfer may overtake it now.
      this.#waiting.unshift(...mined.filter(({ kind }) => kind === 'transfer'))
      this.#waiting.push(...mined.filter(({ kind }) => kind === 'cancel'))
      for (const transaction of mined) transaction.wait = transaction.kind === 'cancel' ? 3 : 0
    }
    const others = this.#waiting.filter(({ kind }) => kind === 'transfer')
    for (const transaction of others) if (this.#world.random.chance(0.5)) transaction.wait = 0
    this.#world.tell('chain', `replaces ${depth} blocks from ${removed[0]?.number}`)
    for (const { timestamp } of removed) this.#mine(Math.max(this.seconds, timestamp - 1))
  }

  #mine(timestamp: number): void {
    const due = this.#waiting.filter(one => one.state === 'waiting' && one.wait-- <= 0)
    this.#waiting = this.#waiting.filter(one => !due.includes(one))
    const mined: Transaction[] = []
    const block: Block = { number: this.#top().number + 1n, timestamp, mined }
    this.#blocks.push(block)
    for (const transaction of due) {
      transaction.state = this.#isGood(transaction, timestamp) ? 'mined' : 'reverted'
      if (transaction.state === 'mined') mined.push(transaction)
      this.#tellOf(transaction, block)
      for (const watcher of transaction.watchers) watcher()
    }
  }

  #isGood({ kind, payment }: Transaction, timestamp: number): boolean {
    if (findUse(this.#blocks, payment) !== null) return false
    if (kind === 'cancel') return true
    return timestamp < payment.validBefore && !this.poor.has(payment.nonce)
  }

  #tellOf(transaction: Transaction, { number, timestamp }: Block): void {
    const { kind, payment, state } = transaction
    const at = `block ${number} (${timestamp - BEGIN_MS / 1000} s)`
    this.#world.tell('chain', `${at}: ${kind} of ${payment.name}, ${brief(transaction)}: ${state}`)
    if (kind !== 'transfer' || state !== 'mined') return
    const landing = { transaction, at: this.#world.now() }
    if (!this.landed.has(payment.nonce)) this.landed.set(payment.nonce, landing)
  }

  #finalSeconds(): number {
    return this.#blocks.at(-1 - this.#plan.chain.finality)?.timestamp ?? 0
  }

  #top(): Block {
    return this.#blocks.at(-1) ?? GENESIS
  }
}

export function brief({ hash }: Transaction): string {
  return hash.slice(0, 8)
}

function findUse(blocks: readonly Block[], payment: SignedPayment): Transaction | null {
  for (const { mined } of blocks) {
    const use = mined.find(one => one.payment === payment)
    if (use !== undefined) return use
  }
  return null
}

function viewOf(blocks: readonly Block[], payment: SignedPayment, finality: number): ChainView {
  const latest = blocks.at(-1) ?? GENESIS
  const final = blocks[Math.max(0, blocks.length - 1 - finality)] ?? GENESIS
  const block = blocks.find(({ mined }) => mined.some(one => one.payment === payment))
  const use = block?.mined.find(one => one.payment === payment)
  const view = { latest: bare(latest), final: bare(final) }
  if (block === undefined || use === undefined) return { ...view, use: null }
  const { number } = block
  if (use.kind === 'transfer') {
    return { ...view, use: { kind: 'transfer', transaction: use.hash, block: number } }
  }
  return { ...view, use: { kind: 'voided', how: 'cancelled', block: number } }
}

function bare({ number, timestamp }: Block): ChainBlock {
  return { number, timestamp }
}

function describe({ latest, final, use }: ChainView): string {
  const end = BEGIN_MS / 1000
  const blocks = `newest ${latest.timestamp - end} s, final ${final.timestamp - end} s`
  return `${use === null ? 'unused' : use.kind}, ${blocks}`
}
