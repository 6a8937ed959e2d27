import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Contestant, DuelPlan } from './duel.ts'
import { FREE_PATH, PAID_PATH } from './farebox.ts'
import { askOnce, get } from './load.ts'
import type { MeasuredProcess } from './measured-process.ts'
import { PAY_TO, paidRequests, type SignedPayment } from './payments.ts'
import type { World } from './world.ts'

/** How much is measured. Counts are requests a round and contestant. */
export interface Effort {
  readonly rounds: number
  readonly cheap: number
  readonly paid: number
  /** Before the first round, until the code is compiled. */
  readonly cheapWarmUp: number
  readonly paidWarmUp: number
  readonly startUps: number
  /** Payments, one after the other, by which the ledger's latency is measured. */
  readonly unhurried: number
  /** How long claims are counted. */
  readonly claimsMs: number
}

/** Many short rounds: whatever else runs on the machine spoils some of them, and not the median. */
export const FULL: Effort = {
  rounds: 21,
  cheap: 4_000,
  paid: 200,
  cheapWarmUp: 16_000,
  paidWarmUp: 800,
  startUps: 5,
  unhurried: 300,
  claimsMs: 4_000,
}
export const QUICK: Effort = {
  rounds: 3,
  cheap: 500,
  paid: 50,
  cheapWarmUp: 1_500,
  paidWarmUp: 100,
  startUps: 1,
  unhurried: 30,
  claimsMs: 500,
}

/** Payments that the longest path takes, warm-up included. */
export function paymentsNeeded({ rounds, paid, paidWarmUp, unhurried }: Effort): number {
  return paidWarmUp + rounds * paid + unhurried
}

const FAREBOX = 'farebox'
const BARE = 'bare node:http'
const UNDICI = 'bare undici proxy'
const HTTP_PROXY = 'http-proxy-3'
const EXPRESS = '@x402/express + http-proxy-3'

/** Nobody pays: farebox beside a server that has nothing to do but to write the same bytes. */
export async function planUnpaid(world: World, effort: Effort): Promise<DuelPlan> {
  const requests = [get(PAID_PATH)]
  const [farebox, express] = await Promise.all([world.startFarebox(), startExpress(world)])
  const answerFile = join(world.folder, 'answer.json')
  await writeFile(answerFile, JSON.stringify(await answerToCopy(farebox)))
  const bare = await world.start('bare-http.ts', answerFile)
  await expectSameBytes(farebox, bare)
  const contestant = (name: string, process: MeasuredProcess): Contestant => {
    return { name, process, requests, status: 402 }
  }
  return {
    ...repeated(effort),
    path: 'unpaid 402',
    contestants: [
      contestant(FAREBOX, farebox),
      contestant(BARE, bare),
      contestant(EXPRESS, express),
    ],
    comparisons: [{ contestant: FAREBOX, peer: BARE, limit: { atMost: 1.5 } }],
  }
}

/** A free route: farebox beside proxies that do nothing but pass on. */
export async function planFree(world: World, effort: Effort): Promise<DuelPlan> {
  const requests = [get(FREE_PATH)]
  const [farebox, undici, httpProxy] = await Promise.all([
    world.startFarebox(),
    world.start('undici-proxy.ts', world.api),
    world.start('http-proxy.ts', world.api),
  ])
  const contestant = (name: string, process: MeasuredProcess): Contestant => {
    return { name, process, requests, status: 200 }
  }
  return {
    ...repeated(effort),
    path: 'free, 1 KB',
    contestants: [
      contestant(FAREBOX, farebox),
      contestant(UNDICI, undici),
      contestant(HTTP_PROXY, httpProxy),
    ],
    comparisons: [
      { contestant: FAREBOX, peer: UNDICI, limit: { atMost: 1.4 } },
      { contestant: FAREBOX, peer: HTTP_PROXY, limit: { atLeast: 2 } },
    ],
  }
}

/** Everybody pays, and every payment is a new one. */
export async function planPaid(
  world: World,
  effort: Effort,
  payments: readonly SignedPayment[],
): Promise<DuelPlan> {
  const [farebox, express] = await Promise.all([world.startFarebox(), startExpress(world)])
  return {
    ...spentOnce(effort),
    path: 'paid, exact',
    contestants: [
      await payingContestant(FAREBOX, farebox, payments),
      await payingContestant(EXPRESS, express, payments),
    ],
    comparisons: [{ contestant: FAREBOX, peer: EXPRESS, limit: { atLeast: 5 } }],
  }
}

const MANY_ROUTES = '10,000 routes'
const MANY_HOT_ROUTES = '10,000 routes, 1,000 in use'
const FEW_ROUTES = '10 routes'

/**
 * The limit is for the table: 10 routes in use, all over it. Where a thousand are in use, their 402s
 * and counts no longer fit the processor's caches, which is shown beside it.
 */
export async function planRoutes(world: World, effort: Effort): Promise<DuelPlan> {
  const contestant = async (
    name: string,
    { routes, inUse }: { readonly routes: number; readonly inUse: number },
  ): Promise<Contestant> => {
    const requests = Array.from({ length: inUse }, (_, index) =>
      get(routePath((index * routes) / inUse, 'item-7')),
    )
    const process = await world.startFarebox({ routes: manyRoutes(routes) })
    return { name, process, requests, status: 402 }
  }
  return {
    ...repeated(effort),
    path: 'route table',
    contestants: await Promise.all([
      contestant(MANY_ROUTES, { routes: 10_000, inUse: 10 }),
      contestant(MANY_HOT_ROUTES, { routes: 10_000, inUse: 1_000 }),
      contestant(FEW_ROUTES, { routes: 10, inUse: 10 }),
    ]),
    comparisons: [{ contestant: MANY_ROUTES, peer: FEW_ROUTES, limit: { atMost: 1.1 } }],
  }
}

/** YAML lines of so many priced routes, each with a parameter. */
function manyRoutes(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `GET ${routePath(index, '{id}')}: $0.001`)
}

function routePath(index: number, id: string): string {
  return `/v1/service-${index % 100}/resource-${Math.floor(index / 100)}/${id}/detail`
}

const LEDGER_FILE = 'ledger on disk'
const LEDGER_MEMORY = 'ledger in memory'

/** What it costs that every claim is on the disk before the next step. No limit is set for it. */
export async function planLedger(
  world: World,
  effort: Effort,
  payments: readonly SignedPayment[],
): Promise<DuelPlan> {
  const start = async (name: string, store: 'file' | 'memory') =>
    payingContestant(name, await world.startFarebox({ store }), payments)
  return {
    ...spentOnce(effort),
    path: 'ledger',
    contestants: await Promise.all([start(LEDGER_FILE, 'file'), start(LEDGER_MEMORY, 'memory')]),
    comparisons: [],
  }
}

function repeated({ rounds, cheap, cheapWarmUp }: Effort) {
  return { rounds, count: cheap, warmUp: cheapWarmUp, repeats: true }
}

function spentOnce({ rounds, paid, paidWarmUp }: Effort) {
  return { rounds, count: paid, warmUp: paidWarmUp, repeats: false }
}

async function payingContestant(
  name: string,
  process: MeasuredProcess,
  payments: readonly SignedPayment[],
): Promise<Contestant> {
  const requests = await paidRequests(process.port, PAID_PATH, payments)
  return { name, process, requests, status: 200 }
}

function startExpress(world: World): Promise<MeasuredProcess> {
  return world.start('express-x402.ts', world.api, world.facilitator, PAY_TO)
}

/** What the bare server must write. Node.js adds the rest of the headers to both. */
async function answerToCopy({ port }: MeasuredProcess) {
  const { status, head, body } = await askOnce(port, get(PAID_PATH))
  const headers = head
    .split('\r\n')
    .slice(1)
    .map(line => line.split(': ', 2))
    .filter(([name = '']) => !/^(date|connection|keep-alive)$/i.test(name))
    .flat()
  return { status, headers, body: Buffer.from(body, 'latin1').toString() }
}

async function expectSameBytes(one: MeasuredProcess, other: MeasuredProcess): Promise<void> {
  const read = async ({ port }: MeasuredProcess): Promise<string> => {
    const { head, body } = await askOnce(port, get(PAID_PATH))
    return `${head.replace(/\r\nDate: [^\r]*/, '')}\r\n\r\n${body}`
  }
  const [expected, found] = [await read(one), await read(other)]
  if (found !== expected) throw new Error(`The bare server answers otherwise:\n${found}`)
}
