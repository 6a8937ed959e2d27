import { access } from 'node:fs/promises'
import { afterEach, expect, test } from 'vitest'
import { z } from 'zod'
import { failureFrom } from '../../demo/failure.ts'
import { createJsonPrinter, createShow } from '../../demo/print.ts'
import { walkThrough } from '../../demo/steps.ts'
import { createStack, type StartGateway, startWorld } from '../../demo/world.ts'
import { type Flaw, standInGateway } from './stand-in-gateway.ts'

const stack = { current: createStack() }
afterEach(async () => {
  await stack.current.closeAll()
  stack.current = createStack()
})

const line = z.looseObject({ step: z.string(), ms: z.number().int() })

async function demonstrate(start: StartGateway) {
  const lines: z.output<typeof line>[] = []
  const printer = createJsonPrinter(text => lines.push(line.parse(JSON.parse(text))))
  const show = createShow(printer, error => failureFrom(error, 'no advice'))
  const world = await startWorld(show, stack.current, start).catch((error: Error) => error)
  const failure =
    world instanceof Error ? world : await walkThrough(world, show).catch((error: Error) => error)
  return { lines, failure: failure instanceof Error ? failure : null }
}

test('tells every step once, in order, and what each found', async () => {
  const { lines, failure } = await demonstrate(standInGateway('none'))
  expect(failure).toBeNull()
  expect(lines.map(({ step }) => step)).toEqual([
    'chain',
    'facilitator',
    'api',
    'gateway',
    'balances_before',
    'unpaid',
    'signed',
    'paid',
    'settled',
    'refused',
    'balances_after',
  ])
  const told = Object.fromEntries(lines.map(fields => [fields.step, fields]))
  expect(told['unpaid']).toMatchObject({ status: 402, price: '$0.001', amount: '1000' })
  expect(told['signed']).toMatchObject({ value: '1000', to: told['unpaid']?.['payTo'] })
  expect(told['paid']).toMatchObject({ status: 200, body: '{"city":"paris"}' })
  expect(told['refused']).toMatchObject({ status: 409, code: 'payment_already_used' })
  expect(told['balances_before']).toMatchObject({ buyer: '10000000', seller: '0' })
  expect(told['balances_after']).toMatchObject({ buyer: '9999000', seller: '1000', moved: '1000' })
})

test.each<[Flaw, string]>([
  ['serves-twice', 'Expected 409, got 200'],
  ['never-settles', 'Payment response header not found'],
  ['charges-nothing', 'could not be found'],
])('fails for a gateway that %s', async (flaw, reason) => {
  const { lines, failure } = await demonstrate(standInGateway(flaw))
  expect(failure?.message).toContain(reason)
  expect(lines.at(-1)?.['error']).toContain(reason)
})

test('a part that does not start is named, and its own advice is passed on', async () => {
  const { lines, failure } = await demonstrate(() => {
    throw Object.assign(new Error('routes: two routes overlap'), { fix: 'Remove one of them.' })
  })
  expect(failure).toMatchObject({ message: 'routes: two routes overlap' })
  expect(lines.at(-1)).toMatchObject({ step: 'gateway', fix: 'Remove one of them.' })
})

test('leaves nothing behind: no server, no chain, no file', async () => {
  const { lines } = await demonstrate(standInGateway('none'))
  const told = Object.fromEntries(lines.map(fields => [fields.step, fields]))
  await stack.current.closeAll()
  const urls = [
    told['chain']?.['rpcUrl'],
    ...['facilitator', 'api', 'gateway'].map(p => told[p]?.['url']),
  ]
  for (const url of urls) await expect(fetch(String(url))).rejects.toThrow('fetch failed')
  await expect(access(String(told['gateway']?.['configFile']))).rejects.toThrow('ENOENT')
})

test('a part that was still starting when everything stopped is closed as well', async () => {
  let closed = false
  await stack.current.closeAll()
  stack.current.push(async () => {
    closed = true
  })
  expect(closed).toBe(true)
})
