import { ChainUnavailableError } from '../../networks/chain-reader.ts'
import type { ChainAccess, Handed } from './chain-access.ts'
import { raiseFees } from './fees.ts'
import type { KeySender, SenderSettings } from './key-sender.ts'
import type { Outgoing } from './outgoing.ts'

/** Drives what one key has sent until its block stays. */
export interface Shepherd {
  /** When the chain last told where the key stands, by `performance.now()`. */
  readonly lookedAt: number
  /** There is something to drive. */
  wake(): void
  /** What a node said of a transaction. */
  note(outgoing: Outgoing, handed: Handed): void
  close(): Promise<void>
}

/** How often the chain is looked at while something is in no block. */
const LOOK_MS = 250
/** While all that is left is to see that blocks stay. */
const LOOK_MS_CALM = 2_000
/** After this long a transaction is handed out again, to every node: it may have been dropped. */
const HAND_AGAIN_MS = 2_000
/** How many are driven in one look; those behind them cannot land before them. */
const DRIVEN_MAX = 200
/** Versions of one transaction, each dearer by a quarter: the last costs seven times the first. */
const ATTEMPTS_MAX = 10
/** A nonce that is used and whose receipts are missing for so long was used by somebody else. */
const MISSING_MS = 8_000

/**
 * Looks at the chain as long as there is something to drive. A transaction that nodes have dropped
 * is handed to them again byte for byte; one that is too cheap is replaced, as often as the fee cap
 * and a bound allow; one whose block was taken back is driven anew; a hole in the nonces is filled.
 */
export function startShepherd(sender: KeySender, reportError: (error: unknown) => void): Shepherd {
  let timer: NodeJS.Timeout | null = null
  let looking: Promise<void> | null = null
  let closed = false
  let lookedAt = Number.NEGATIVE_INFINITY

  const look = async (): Promise<void> => {
    timer = null
    try {
      await lookOnce(sender, sender.settings)
      sender.count()
      lookedAt = performance.now()
    } catch (error) {
      if (!(error instanceof ChainUnavailableError)) reportError(error)
    } finally {
      looking = null
      if (sender.outgoing.length > 0) schedule()
    }
  }
  const schedule = (): void => {
    if (closed || looking !== null || timer !== null) return
    const delay = sender.openCount > 0 ? LOOK_MS : LOOK_MS_CALM
    timer = setTimeout(() => {
      looking = look()
    }, delay)
    timer.unref()
  }
  return {
    get lookedAt() {
      return lookedAt
    },
    wake() {
      if (timer !== null && sender.openCount === 1) {
        clearTimeout(timer)
        timer = null
      }
      schedule()
    },
    note(outgoing, handed) {
      if (handed === 'underpriced') outgoing.isUnderpriced = true
      if (handed !== 'nonce-used') return
      void sender.settings.chain
        .transactionCount(sender.address, 'latest')
        .then(count => sender.skipTo(count))
        .catch(() => undefined)
    },
    async close() {
      closed = true
      if (timer !== null) clearTimeout(timer)
      await looking
    },
  }
}

async function lookOnce(sender: KeySender, settings: SenderSettings): Promise<void> {
  const { chain, finality } = settings
  const [latest, count] = await Promise.all([
    chain.latestBlock(),
    chain.transactionCount(sender.address, 'latest'),
  ])
  sender.skipTo(count)
  const open: Outgoing[] = []
  const used: Outgoing[] = []
  for (const outgoing of sender.outgoing) {
    const { sent, receipt } = outgoing
    if (sent.nonce >= count) {
      if (receipt !== null) outgoing.takeBack()
      open.push(outgoing)
    } else if (receipt === null) used.push(outgoing)
    else if (receipt.block + BigInt(finality) <= latest) {
      sender.forget(outgoing)
      settings.tank.spend(receipt.costWei)
    }
  }
  await Promise.all(used.slice(0, DRIVEN_MAX).map(outgoing => findReceipt(outgoing, sender, chain)))
  await Promise.all(open.slice(0, DRIVEN_MAX).map(outgoing => drive(outgoing, sender, settings)))
  if (open.length > 0) await fillHoles(sender, count, chain)
}

async function findReceipt(
  outgoing: Outgoing,
  sender: KeySender,
  chain: ChainAccess,
): Promise<void> {
  const now = performance.now()
  outgoing.missingSince ??= now
  const isLost = now > outgoing.missingSince + MISSING_MS
  for (const { hash } of outgoing.sent.attempts.toReversed()) {
    const receipt = await (isLost ? chain.receiptOfAny(hash) : chain.receipt(hash))
    if (receipt !== null && receipt.transaction === hash) return outgoing.land(receipt)
  }
  if (!isLost) return
  outgoing.missingSince = null
  if (sender.isFiller(outgoing)) sender.forget(outgoing)
  else await sender.move(outgoing)
}

async function drive(
  outgoing: Outgoing,
  sender: KeySender,
  { chain, replaceAfterMs }: SenderSettings,
): Promise<void> {
  const now = performance.now()
  const isDue = now > outgoing.pricedAt + replaceAfterMs || outgoing.isUnderpriced
  if (isDue && outgoing.sent.attempts.length < ATTEMPTS_MAX) {
    const fees = raiseFees(outgoing.newest, await chain.fees(), chain.feeCap)
    if (fees !== null) return sender.replace(outgoing, fees)
  }
  if (now < outgoing.handedAt + HAND_AGAIN_MS) return
  outgoing.handedAt = now
  const handed = await chain.handToAll(outgoing.newest.raw)
  if (handed === 'underpriced') outgoing.isUnderpriced = true
}

/** Nothing of ours stands for them, and no node knows of anybody else's. */
async function fillHoles(sender: KeySender, count: number, chain: ChainAccess): Promise<void> {
  const kept = new Set(sender.outgoing.map(({ sent }) => sent.nonce))
  const end = Math.max(...kept)
  const holes = Array.from({ length: end - count }, (_, index) => count + index).filter(
    nonce => !kept.has(nonce),
  )
  if (holes.length === 0) return
  const pending = await chain.transactionCount(sender.address, 'pending')
  for (const nonce of holes.filter(hole => hole >= pending).slice(0, DRIVEN_MAX)) {
    await sender.fill(nonce)
  }
}
