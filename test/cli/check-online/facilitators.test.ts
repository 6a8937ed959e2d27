import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { stripVTControlCharacters } from 'node:util'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { type Chain, startChain } from '../../support/chain.ts'
import { type ReferenceFacilitator, startFacilitator } from '../../support/facilitator.ts'
import { startRpcProxy } from '../../support/rpc-proxy.ts'
import {
  answerWith,
  type StubAnswer,
  startStubFacilitator,
} from '../../support/stub-facilitator.ts'
import { runCli } from '../run-cli.ts'
import { checkOnline, onlineYaml, troubles } from './ask.ts'

let chain: Chain
let facilitator: ReferenceFacilitator
const opened: { close(): Promise<void> }[] = []

beforeAll(async () => {
  chain = await startChain()
  facilitator = await startFacilitator({ chain })
})
afterEach(() => Promise.all(opened.splice(0).map(one => one.close())))
afterAll(async () => {
  await facilitator.close()
  await chain.close()
})

async function stub(answer: StubAnswer): Promise<string> {
  const started = await startStubFacilitator(answer)
  opened.push(started)
  return started.url
}

const kinds = (...networks: string[]): unknown => ({
  kinds: networks.map(network => ({ x402Version: 2, scheme: 'exact', network })),
})

describe('facilitators', () => {
  test('who takes an offer is named', async () => {
    const second = await stub(answerWith(kinds('eip155:84532')))
    const run = await checkOnline(onlineYaml({ facilitators: [facilitator.url, second] }))
    expect(troubles(run, 'facilitators')).toEqual([])
    const hosts = [facilitator.url, second].map(url => new URL(url).host).join(', ')
    expect(run.findings.map(({ message }) => message)).toContain(
      `exact on base-sepolia (eip155:84532, eip3009) is taken by ${hosts}`,
    )
  })

  test('an offer is taken under its version 1 name as well', async () => {
    const v1 = { kinds: [{ x402Version: 1, scheme: 'exact', network: 'base-sepolia' }] }
    const run = await checkOnline(onlineYaml({ facilitators: [await stub(answerWith(v1))] }))
    expect(troubles(run, 'facilitators')).toEqual([])
  })

  test('an offer that nobody takes is a problem, at its entry of accepts', async () => {
    const run = await checkOnline(
      onlineYaml({ facilitators: [facilitator.url], accepts: 'base-sepolia, base' }),
    )
    expect(run.code).toBe(1)
    expect(troubles(run, 'facilitators')).toMatchObject([
      {
        ...{ level: 'problem', line: 3, item: 'accepts[1]' },
        message: 'no facilitator takes exact on base (eip155:8453, eip3009)',
      },
    ])
  })

  test('one that is silent is a warning beside another, and a problem alone', async () => {
    const silent = await stub({ kind: 'reset' })
    const beside = await checkOnline(onlineYaml({ facilitators: [silent, facilitator.url] }))
    expect(beside.code).toBe(0)
    expect(troubles(beside, 'facilitators')).toMatchObject([
      { level: 'warning', item: 'facilitators[0]' },
    ])
    const alone = await checkOnline(onlineYaml({ facilitators: [silent] }))
    expect(alone.code).toBe(1)
    expect(troubles(alone, 'facilitators').map(({ level }) => level)).toEqual([
      'problem',
      'not-checked',
    ])
  })

  test('an offer that nobody who answered takes may be taken by who is silent', async () => {
    const facilitators = [await stub({ kind: 'reset' }), await stub(answerWith(kinds()))]
    const run = await checkOnline(onlineYaml({ facilitators }))
    expect(run.code).toBe(0)
    expect(troubles(run, 'facilitators').map(({ level }) => level)).toEqual(['warning', 'warning'])
  })

  test('garbage, huge, endless and redirected answers are bounded and told', async () => {
    const faults = await Promise.all(
      [
        answerWith('<html>Welcome</html>'),
        answerWith('['.repeat(2 * 1024 * 1024)),
        answerWith('', 301, { location: facilitator.url }),
        answerWith({ kinds: 'all' }),
        { kind: 'hang' } as const,
        { kind: 'trickle', intervalMs: 50 } as const,
      ].map(stub),
    )
    const startedAt = performance.now()
    const run = await checkOnline(onlineYaml({ facilitators: [...faults, facilitator.url] }))
    expect(performance.now() - startedAt).toBeLessThan(15_000)
    expect(run.code).toBe(0)
    expect(troubles(run, 'facilitators').map(({ level }) => level)).toEqual(
      faults.map(() => 'warning'),
    )
  })
})

test('a file that sells nothing asks nobody', async () => {
  const before = facilitator.calls.supported
  const run = await checkOnline(
    onlineYaml({ facilitators: [facilitator.url], routes: '  /health: free' }),
  )
  expect(run.code).toBe(0)
  expect(run.findings).toMatchObject([{ level: 'not-checked', item: 'routes' }])
  expect(facilitator.calls.supported).toBe(before)
})

test.each([
  ['--url', 'ftp://api.example.com'],
  ['--url', 'https://user:secret@api.example.com'],
  ['--url', 'https://api.example.com/?key=secret'],
  ['--path', 'v1/report'],
])('%s %s is refused before anything is read, and not repeated', async (option, value) => {
  const outcome = await runCli(['check', option, value])
  expect(outcome).toMatchObject({ code: 2, stdout: '' })
  expect(JSON.parse(outcome.stderr).error.code).toBe('usage')
  expect(outcome.stderr).not.toContain(value)
})

describe('the clock', () => {
  const dated = (seconds: number, headers = {}) => {
    const date = new Date(Date.now() + seconds * 1000).toUTCString()
    return stub(answerWith(kinds('eip155:84532'), 200, { date, ...headers }))
  }

  test.each([
    [20, 0, 'warning', 'behind facilitator'],
    [-20, 0, 'warning', 'ahead of facilitator'],
    [60, 1, 'problem', 'behind facilitator'],
    [-3600, 1, 'problem', 'ahead of facilitator'],
  ])('%i s from a facilitator exits with %i: a %s', async (seconds, code, level, words) => {
    const run = await checkOnline(onlineYaml({ facilitators: [await dated(seconds)] }))
    expect(run.code).toBe(code)
    expect(troubles(run, 'clock')).toMatchObject([
      { level, message: expect.stringContaining(words), cure: expect.stringContaining('NTP') },
    ])
  })

  test('is not judged by an answer out of a cache', async () => {
    const facilitators = [await dated(-3600, { age: '3600' })]
    const run = await checkOnline(onlineYaml({ facilitators }))
    expect(troubles(run, 'clock')).toMatchObject([{ level: 'not-checked' }])
  })

  test('is judged by a block from the future, and not by an old one', async () => {
    const blockAt = async (seconds: number): Promise<string> => {
      const timestamp = `0x${Math.floor(Date.now() / 1000 + seconds).toString(16)}`
      const proxy = await startRpcProxy(chain.rpcUrl, ({ method }) =>
        method === 'eth_getBlockByNumber'
          ? { kind: 'result', result: { number: '0x7', timestamp } }
          : null,
      )
      opened.push(proxy)
      return proxy.url
    }
    const facilitators = [facilitator.url]
    const future = await checkOnline(onlineYaml({ facilitators, rpc: [await blockAt(90)] }))
    expect(troubles(future, 'clock')).toMatchObject([
      { level: 'problem', message: expect.stringContaining('the newest block of base-sepolia') },
    ])
    const old = await checkOnline(onlineYaml({ facilitators, rpc: [await blockAt(-90)] }))
    expect(troubles(old, 'clock')).toEqual([])
  })
})

test('a person sees a line for each finding, with place and cure, and the count last', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'farebox-online-'))
  const file = join(directory, 'gateway.yaml')
  const yaml = onlineYaml({ facilitators: [facilitator.url], accepts: 'base-sepolia, base' })
  await writeFile(file, yaml)
  const { code, stdout } = await runCli(['check', '-c', file, '--online'], {}, { terminal: true })
  await rm(directory, { recursive: true })
  expect(code).toBe(1)
  const lines = stripVTControlCharacters(stdout).trimEnd().split('\n')
  expect(lines[0]).toMatch(/^ROUTE /)
  expect(lines).toContain(
    `problem:     ${file}:3:25 accepts[1]: no facilitator takes exact on base (eip155:8453, eip3009). ` +
      'Add a facilitator that serves base, or accept another network.',
  )
  expect(lines.find(line => line.startsWith('not checked: '))).toContain(
    'base-sepolia: it has no rpc',
  )
  expect(lines.at(-1)).toBe('1 problem, 1 warning, 3 not checked')
})
