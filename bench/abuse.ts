/**
 * `npm run bench:abuse`: what junk payments do to those who pay, and how often a facilitator hears of
 * them. Rounds with and without junk take turns; a ratio is the median of the rounds' ratios.
 * `--rounds 3` is quicker, and less sure.
 */
import { fork } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { parseArgs } from 'node:util'
import { PAID_PATH } from './farebox.ts'
import { get, runLoad } from './load.ts'
import type { MeasuredProcess } from './measured-process.ts'
import {
  PAYER,
  paidRequests,
  type SignedPayment,
  signEmptyWallets,
  signPayments,
} from './payments.ts'
import { openWorld } from './world.ts'

const { values: options } = parseArgs({ options: { rounds: { type: 'string', default: '7' } } })
const ROUNDS = Number(options.rounds)
const PAID_A_ROUND = 300
const PAYING_CONNECTIONS = 8
const JUNK = 6_000
const WARM_UP = 800
/** Junk runs before the paying clients are measured. */
const LEAD_MS = 1_500

interface Attack {
  readonly name: string
  readonly connections: number
  /** Requests that a connection sends before it waits. */
  readonly depth: number
  /** Written whatever comes back; left out: as fast as answers come. */
  readonly perSecond?: number
  /** 0: the one that those who pay have. */
  readonly addresses: number
}

const ATTACKS: readonly Attack[] = [
  { name: 'one address, 64 connections', connections: 64, depth: 1, addresses: 1 },
  {
    name: 'one address, 64 connections, 90 in a pipeline',
    connections: 64,
    depth: 90,
    addresses: 1,
  },
  {
    name: '10,000 a second from 50 addresses, 500 connections, whatever comes back',
    connections: 500,
    depth: 1,
    perSecond: 10_000,
    addresses: 50,
  },
  { name: '50 addresses, 500 connections', connections: 500, depth: 1, addresses: 50 },
  {
    name: 'an address for each payment, 64 connections',
    connections: 64,
    depth: 1,
    addresses: JUNK,
  },
  { name: 'the address of those who pay, 64 connections', connections: 64, depth: 1, addresses: 0 },
]

const world = await openWorld(PAYER.toLowerCase())
try {
  const farebox = await world.startFarebox({ trustedProxies: ['127.0.0.1'] })
  const payments = signPayments(WARM_UP + ATTACKS.length * ROUNDS * 2 * PAID_A_ROUND)
  const paid = await paidRequests(farebox.port, PAID_PATH, payments)
  await pay(farebox.port, paid.splice(0, WARM_UP))
  const junk = await junkPayments(farebox.port, payments.slice(0, 100))
  for (const attack of ATTACKS) await measure(attack, { farebox, paid, junk })
} finally {
  await world.close()
}

function pay(port: number, requests: readonly Buffer[]) {
  const count = requests.length
  return runLoad({ port, requests, count, connections: PAYING_CONNECTIONS, status: 200 })
}

/** Junk of every kind, in turn. */
async function junkPayments(port: number, used: readonly SignedPayment[]): Promise<string[]> {
  const forged = signPayments(JUNK / 6).map(({ authorization }) => ({
    authorization,
    signature: `0x${randomBytes(32).toString('hex')}${'11'.repeat(32)}1b` as const,
  }))
  const underpaid = signEmptyWallets(JUNK / 6).map(({ signature, authorization }) => ({
    signature,
    authorization: { ...authorization, value: '1' },
  }))
  const strangers = signEmptyWallets(JUNK / 6).map(({ signature }, index) => {
    const { authorization } = underpaid[index] ?? { authorization: {} }
    return { signature, authorization: { ...authorization, value: '1000' } }
  })
  const replays = Array.from({ length: JUNK / 6 }, (_, index) => used[index % used.length])
  const kinds = [signEmptyWallets(JUNK / 6), forged, underpaid, strangers, replays]
  const signed = await Promise.all(
    kinds.map(kind => paidRequests(port, PAID_PATH, kind as readonly SignedPayment[])), // all full
  )
  const garbage = Array.from({ length: JUNK / 6 }, () =>
    get(PAID_PATH, { 'PAYMENT-SIGNATURE': randomBytes(300).toString('base64') }),
  )
  return [...signed, garbage]
    .flatMap(kind => kind.map((request, index) => ({ request, index })))
    .sort((one, other) => one.index - other.index)
    .map(({ request }) => request.toString('latin1'))
}

async function measure(
  attack: Attack,
  world_: { farebox: MeasuredProcess; paid: Buffer[]; junk: readonly string[] },
): Promise<void> {
  const { farebox, paid, junk } = world_
  const file = join(world.folder, 'junk.txt')
  const lines = junk.map((request, index) => {
    const from = attack.addresses === 0 ? '' : `X-Forwarded-For: ${addressOf(attack, index)}\r\n`
    return Buffer.from(request.replace(/\r\n$/, `${from}\r\n`), 'latin1').toString('base64')
  })
  await writeFile(file, lines.join('\n'))
  const ratios: { p50: number; throughput: number }[] = []
  let sent = 0
  let junkMs = 0
  let cpuMicros = 0
  const statuses: Record<string, number> = {}
  const before = await asked()
  for (let round = 0; round < ROUNDS; round++) {
    const calm = await pay(farebox.port, paid.splice(0, PAID_A_ROUND))
    const { connections, depth, perSecond = 0 } = attack
    const program = join(import.meta.dirname, 'contestants/junk.ts')
    const child = fork(program, [file, farebox.port, connections, depth, perSecond].map(String))
    const [begin, cpu] = [performance.now(), await farebox.cpuMicros()]
    await pause(LEAD_MS)
    const under = await pay(farebox.port, paid.splice(0, PAID_A_ROUND))
    const told = once(child, 'message')
    child.send('stop')
    const [report] = await told
    junkMs += performance.now() - begin
    cpuMicros += (await farebox.cpuMicros()) - cpu
    sent += report.sent
    for (const [status, count] of Object.entries<number>(report.byStatus)) {
      statuses[status] = (statuses[status] ?? 0) + count
    }
    await once(child, 'exit')
    ratios.push({
      p50: median(under.latenciesMs) / median(calm.latenciesMs),
      throughput: calm.requestsPerSecond / under.requestsPerSecond,
    })
  }
  const after = await asked()
  const refused = after.refused - before.refused
  console.log(
    [
      `\n${attack.name}`,
      `  junk sent                 ${Math.round((sent / junkMs) * 1000)} a second`,
      `  answers to it             ${JSON.stringify(statuses)}`,
      `  junk asked about          ${((refused / junkMs) * 1000).toFixed(1)} a second`,
      `  gateway's CPU             ${Math.round(cpuMicros / junkMs / 10)} % of a core while junk comes`,
      `  paying: p50               ${median(ratios.map(one => one.p50)).toFixed(2)} times as long`,
      `  paying: throughput        divided by ${median(ratios.map(one => one.throughput)).toFixed(2)}`,
    ].join('\n'),
  )
}

function addressOf({ addresses }: Attack, index: number): string {
  const number = index % addresses
  return `198.${18 + (number >> 16)}.${(number >> 8) & 255}.${number & 255}`
}

async function asked(): Promise<{ verify: number; refused: number }> {
  return (await fetch(`${world.facilitator}/asked`)).json() as Promise<{
    verify: number
    refused: number
  }> // what backend.ts answers
}

function median(values: Iterable<number>): number {
  const sorted = [...values].sort((one, other) => one - other)
  return sorted[Math.floor(sorted.length / 2)] ?? Number.NaN
}
