import { Chain } from './chain.ts'
import { Clients } from './clients.ts'
import { Disk } from './disk.ts'
import { FacilitatorService } from './facilitator.ts'
import { SimulatedGateway, type Surroundings } from './gateway.ts'
import { Invariants } from './invariants.ts'
import { drawPlan } from './plan.ts'
import { UpstreamService } from './upstream.ts'
import { type Violation, World } from './world.ts'

export interface Course {
  readonly seed: number
  /** Null: every rule held. */
  readonly violation: Violation | null
  /** One line an event. */
  story(): string
}

/** Longest time from the end of all faults until every row is final. */
const QUIET_MS_MAX = 15 * 60_000
const REDEEM_MS_MAX = 2 * 60_000
const STOP_MS_MAX = 60_000
const REDEEM_AGAIN_MS = 5_000

/** Runs one seed from its beginning to its end. */
export async function simulate(seed: number): Promise<Course> {
  const world = new World(seed)
  const stopListening = listenForRejections(world)
  const plan = drawPlan(world.random)
  world.tell('seed', JSON.stringify(plan))
  const chain = new Chain(world, plan)
  const disk = new Disk(world, plan)
  const invariants = new Invariants(world, { plan, disk, chain })
  const facilitator = new FacilitatorService(world, { plan, chain, invariants })
  const upstream = new UpstreamService(world, { plan, invariants })
  const around = { world, plan, chain, disk, facilitator, upstream, invariants }
  const gateways = Array.from(
    { length: plan.gateways },
    (_, index) => new SimulatedGateway(`gateway ${'AB'[index]}`, around),
  )
  const clients = new Clients(around, gateways)
  for (const gateway of gateways) await gateway.start()
  clients.start()
  causeTrouble(around, gateways)
  await untilTheEnd(around, gateways, clients)
  for (const gateway of gateways) gateway.crash()
  disk.close()
  stopListening()
  return { seed, violation: world.violation, story: () => world.story() }
}

function causeTrouble({ world, plan }: Surroundings, gateways: readonly SimulatedGateway[]): void {
  const { random } = world
  const someGateway = (): SimulatedGateway | undefined =>
    gateways[random.between(0, gateways.length - 1)]
  const sometime = (act: () => void): void =>
    void world.after(random.between(500, plan.troubleMs), act)
  for (let count = 0; count < plan.crashes; count++) {
    sometime(() => {
      const gateway = someGateway()
      gateway?.crash()
      world.after(random.latency(200, 20_000), () => void startAgain(gateway))
    })
  }
  for (let count = 0; count < plan.clockJumps; count++) {
    sometime(() => {
      const gateway = someGateway()
      if (gateway === undefined) return
      gateway.offsetMs = random.between(-6_000, 6_000)
      world.tell(gateway.name, `has its clock set ${gateway.offsetMs} ms off`)
    })
  }
  for (let count = 0; count < plan.reloads; count++) sometime(() => void someGateway()?.reload())
  world.after(plan.troubleMs + 1, () => {
    world.troubled = false
    world.tell('seed', 'has no more trouble')
  })
}

async function startAgain(gateway: SimulatedGateway | undefined): Promise<void> {
  if (gateway?.isUp === false) await gateway.start()
}

async function untilTheEnd(
  around: Surroundings,
  gateways: readonly SimulatedGateway[],
  clients: Clients,
): Promise<void> {
  const { world, plan, disk, invariants } = around
  await world.runUntil(() => !world.troubled, plan.troubleMs + 1_000)
  for (const gateway of gateways) await startAgain(gateway)
  const isQuiet = (): boolean =>
    clients.unfinished === 0 &&
    gateways.every(({ unfinished }) => unfinished === 0) &&
    disk.countBeyond(plan.hasNode ? FINAL : FINAL_OR_OPEN) === 0
  const becameQuiet = await world.runUntil(everySoOften(isQuiet), QUIET_MS_MAX)
  if (world.violation !== null) return
  if (!becameQuiet) return stuck(around, gateways, clients)
  await redeemAll(around, clients)
  invariants.compareWithChain()
  checkPurchases(around, clients)
  await world.runUntil(() => gateways.every(({ unfinished }) => unfinished === 0), STOP_MS_MAX)
  const left = gateways.reduce((sum, { unfinished }) => sum + unfinished, 0)
  if (left > 0) world.violate('nothing left over', `${left} requests or calls`)
  for (const gateway of gateways) void gateway.stop()
  await world.runUntil(() => gateways.every(({ isUp }) => !isUp), STOP_MS_MAX)
  const up = gateways.filter(({ isUp }) => isUp).map(({ name }) => name)
  if (up.length > 0) world.violate('nothing left over', `${up} cannot be stopped`)
}

const FINAL = new Set(['settled', 'delivered', 'released'])
/** Where there is no node, what was not answered at once may stay open for ever. */
const FINAL_OR_OPEN = new Set([...FINAL, 'settling', 'unknown'])

/** Looking costs more than most events do. */
function everySoOften(reached: () => boolean): () => boolean {
  let count = 0
  return () => count++ % 16 === 0 && reached()
}

function stuck(
  { world, disk }: Surroundings,
  gateways: readonly SimulatedGateway[],
  clients: Clients,
): void {
  const rows = disk.rows().filter(({ state }) => !FINAL.has(state))
  const requests = gateways.reduce((sum, { unfinished }) => sum + unfinished, 0)
  const open = rows.map(({ state, detail }) => `${state} (${detail})`).join(', ')
  const detail = `rows: ${open || 'none'}; ${clients.unfinished} clients, ${requests} calls wait`
  world.violate('everything ends', detail)
}

/** What was paid and not delivered must be given now, for the same payment. */
async function redeemAll(around: Surroundings, clients: Clients): Promise<void> {
  const { world, disk, invariants } = around
  for (const { payment } of invariants.owed()) {
    let redeemed = false
    let over = false
    const attempt = async (): Promise<void> => {
      const until = world.now() + REDEEM_MS_MAX
      do {
        redeemed = await clients.redeem(payment)
        if (!redeemed) await world.sleep(REDEEM_AGAIN_MS)
      } while (!redeemed && world.now() < until)
      over = true
    }
    void attempt()
    await world.runUntil(() => over, 2 * REDEEM_MS_MAX)
    if (!redeemed) world.violate('redeemable', `${payment.name} is paid, and buys nothing`)
  }
  for (const row of disk.rows()) {
    if (row.state === 'delivered' && !invariants.wasDelivered(row.key)) {
      world.violate('redeemable', `${row.key} is called delivered, and was not`)
    }
  }
}

function checkPurchases({ world, chain, invariants }: Surroundings, { purchases }: Clients): void {
  for (const { target, payments } of purchases) {
    const charged = payments.filter(
      payment =>
        chain.landed.get(payment.nonce)?.transaction.sender === 'facilitator' &&
        !invariants.isExcused(payment, 'denied transfer', 'called invalid'),
    )
    if (charged.length < 2) continue
    const names = charged.map(({ name }) => name).join(' and ')
    world.violate('charged once', `${target} was paid for with ${names}`)
  }
}

function listenForRejections(world: World): () => void {
  const listener = (error: unknown): void => {
    world.violate('nothing unexpected', `a promise is left rejected: ${String(error)}`)
  }
  process.on('unhandledRejection', listener)
  return () => void process.off('unhandledRejection', listener)
}
