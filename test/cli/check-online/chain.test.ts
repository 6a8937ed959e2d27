import { encodeAbiParameters, encodeFunctionData, parseAbi } from 'viem'
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest'
import { FACILITATOR_PRIVATE_KEY, seller } from '../../support/accounts.ts'
import { type Chain, startChain, TOKEN_ADDRESS } from '../../support/chain.ts'
import { type ReferenceFacilitator, startFacilitator } from '../../support/facilitator.ts'
import {
  type RpcAnswer,
  type RpcCall,
  type RpcProxy,
  startRpcProxy,
} from '../../support/rpc-proxy.ts'
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

/** The chain's own node, but for what `answer` says. */
async function nodeThat(answer: (call: RpcCall) => RpcAnswer | null): Promise<RpcProxy> {
  const proxy = await startRpcProxy(chain.rpcUrl, answer)
  opened.push(proxy)
  return proxy
}

const check = (parts: Partial<Parameters<typeof onlineYaml>[0]> = {}) =>
  checkOnline(onlineYaml({ facilitators: [facilitator.url], rpc: [chain.rpcUrl], ...parts }))

const result = (value: unknown): RpcAnswer => ({ kind: 'result', result: value })
const dataOf = ({ params }: RpcCall): string => (params[0] as { data: string }).data

describe('a file that is true', () => {
  test('exits with 0, and has one line for each thing that was asked', async () => {
    await chain.mint(seller.address, 1n)
    const { code, findings } = await check()
    expect(code).toBe(0)
    expect(findings.map(({ level, question }) => `${question} ${level}`)).toEqual([
      'facilitators ok',
      'facilitators ok',
      'rpc ok',
      'token ok',
      'payTo ok',
      'clock ok',
      'publicUrl not-checked',
      'upstreams warning',
    ])
    expect(findings[2]).toMatchObject({ line: 5, item: 'networks.base-sepolia.rpc[0]' })
    expect(findings[4]).toMatchObject({ line: 2, item: 'payTo' })
  })

  test('is checked offline first: a problem of the file asks nobody', async () => {
    const before = facilitator.calls.supported
    const { code, stdout } = await check({ accepts: 'bas-sepolia' })
    expect(code).toBe(2)
    expect(JSON.parse(stdout)).toMatchObject({ valid: false })
    expect(facilitator.calls.supported).toBe(before)
  })

  test('never shows the URL of a node, whatever happens', async () => {
    const node = await nodeThat(() => ({ kind: 'http', status: 500, body: 'no-such-secret' }))
    const { stdout, stderr } = await check({ rpc: [`${node.url}/key-of-mine`] })
    expect(stdout + stderr).not.toMatch(/key-of-mine|no-such-secret/)
  })
})

describe('nodes', () => {
  test('one of another chain is a problem, and is not asked about the token', async () => {
    await using other = await disposable(startChain({ chainId: 8453 }))
    const run = await check({ rpc: [other.rpcUrl] })
    expect(run.code).toBe(1)
    expect(troubles(run, 'rpc')).toMatchObject([
      { level: 'problem', message: expect.stringContaining('serves chain 8453') },
    ])
    expect(troubles(run, 'token')).toMatchObject([{ level: 'not-checked' }])
  })

  test('a silent one is a warning beside another, and a problem alone', async () => {
    const dead = await nodeThat(() => ({ kind: 'reset' }))
    const beside = await check({ rpc: [dead.url, chain.rpcUrl] })
    expect(beside.code).toBe(0)
    expect(troubles(beside, 'rpc')).toMatchObject([
      { level: 'warning', item: 'networks.base-sepolia.rpc[0]' },
    ])
    expect(troubles(beside, 'token')).toEqual([])
    const alone = await check({ rpc: [dead.url] })
    expect(alone.code).toBe(1)
    expect(troubles(alone, 'rpc')).toMatchObject([{ level: 'problem' }])
  })

  test('one that lags behind is a warning with its age', async () => {
    const block = { number: '0x7', timestamp: `0x${(unixNow() - 600).toString(16)}` }
    const node = await nodeThat(({ method }) =>
      method === 'eth_getBlockByNumber' ? result(block) : null,
    )
    const run = await check({ rpc: [node.url] })
    expect(run.code).toBe(0)
    expect(troubles(run, 'rpc')).toMatchObject([
      {
        level: 'warning',
        message: expect.stringMatching(/lags behind: newest block 7, 60\d s old/),
      },
    ])
  })

  test('one without finalized blocks is a problem, unless a depth is configured', async () => {
    const node = await nodeThat(({ method, params }) =>
      method === 'eth_getBlockByNumber' && params[0] === 'finalized' ? result(null) : null,
    )
    const without = await check({ rpc: [node.url] })
    expect(troubles(without, 'rpc')).toMatchObject([
      { level: 'problem', cure: expect.stringContaining('finality') },
    ])
    const configured = await check({ rpc: [node.url], network: 'finality: 12' })
    expect(troubles(configured, 'rpc')).toEqual([])
  })

  test('without any, what was not asked is said in one line', async () => {
    const run = await checkOnline(onlineYaml({ facilitators: [facilitator.url] }))
    expect(run.code).toBe(0)
    expect(troubles(run, 'rpc')).toMatchObject([
      { level: 'not-checked', message: expect.stringContaining('base-sepolia: it has no rpc') },
    ])
    expect([...troubles(run, 'token'), ...troubles(run, 'payTo')]).toEqual([])
  })

  test('garbage, huge, endless and redirected answers are bounded and told', async () => {
    const faults: RpcAnswer[] = [
      { kind: 'http', status: 200, body: '<html>Welcome</html>' },
      { kind: 'http', status: 200, body: 'x'.repeat(9 * 1024 * 1024) },
      { kind: 'http', status: 302, headers: { location: 'http://127.0.0.1:9/' } },
      { kind: 'error', code: -32_005, message: 'slow down' },
      { kind: 'hang' },
    ]
    const nodes = await Promise.all(faults.map(fault => nodeThat(() => fault)))
    const startedAt = performance.now()
    const run = await check({ rpc: [...nodes.map(({ url }) => url), chain.rpcUrl] })
    expect(performance.now() - startedAt).toBeLessThan(15_000)
    expect(troubles(run, 'rpc').map(({ level }) => level)).toEqual(faults.map(() => 'warning'))
    expect(troubles(run, 'token')).toEqual([])
  })
})

test('a facilitator that settles by itself needs no answer, and its node is looked at', async () => {
  await using other = await disposable(startChain({ chainId: 8453 }))
  const networks = { 'base-sepolia': { rpc: other.rpcUrl, maxFeePerGas: '50gwei' } }
  const local = { networks, key: FACILITATOR_PRIVATE_KEY }
  const run = await checkOnline(onlineYaml({ facilitators: [{ local }] }))
  expect(troubles(run, 'facilitators')).toEqual([])
  expect(troubles(run, 'rpc')).toMatchObject([
    { level: 'problem', line: 4, item: 'facilitators[0].local.networks.base-sepolia.rpc' },
  ])
  expect(run.stdout).not.toContain(FACILITATOR_PRIVATE_KEY.slice(2))
})

describe('the token', () => {
  const described = (extra: string): string =>
    `assets: [{symbol: USDC, address: "${TOKEN_ADDRESS}", dollarPegged: true, ${extra}}]`

  test('with other decimals than the file says is a problem', async () => {
    const network = described('decimals: 8, eip712: {name: USDC, version: "2"}')
    const run = await check({ network })
    expect(run.code).toBe(1)
    expect(troubles(run, 'token')).toMatchObject([
      {
        level: 'problem',
        item: 'networks.base-sepolia.assets[0]',
        message: 'USDC on base-sepolia has 6 decimals, and the file says 8',
      },
    ])
  })

  test.each([
    ['name', '{name: USD Coin, version: "2"}'],
    ['version', '{name: USDC, version: "1"}'],
  ])('with another %s in its signing domain is a problem, with what it says', async (_, eip712) => {
    const run = await check({ network: described(`decimals: 6, eip712: ${eip712}`) })
    expect(run.code).toBe(1)
    expect(troubles(run, 'token')).toMatchObject([
      {
        level: 'problem',
        message: expect.stringContaining('the contract says name "USDC", version "2"'),
      },
    ])
  })

  test('tells its domain by EIP-5267 where it has no separator', async () => {
    const domainAbi = [
      ...[{ type: 'bytes1' }, { type: 'string' }, { type: 'string' }, { type: 'uint256' }],
      ...[{ type: 'address' }, { type: 'bytes32' }, { type: 'uint256[]' }],
    ] as const
    const zero = `0x${'0'.repeat(64)}` as const
    const answering = (name: string, fields: `0x${string}` = '0x0f') =>
      nodeThat(call => {
        if (call.method !== 'eth_call') return null
        const selector = dataOf(call).slice(0, 10)
        if (selector === '0x3644e515') return { kind: 'error', code: 3, message: 'reverted' }
        if (selector !== '0x84b0196e') return null
        const domain = [fields, name, '2', 84532n, TOKEN_ADDRESS, zero, []] as const
        return result(encodeAbiParameters(domainAbi, domain))
      })
    expect(troubles(await check({ rpc: [(await answering('USDC')).url] }), 'token')).toEqual([])
    const salted = await check({ rpc: [(await answering('USDC', '0x1f')).url] })
    expect(troubles(salted, 'token')).toMatchObject([
      { level: 'problem', message: expect.stringContaining('more or fewer members') },
    ])
    const other = await check({ rpc: [(await answering('USD \u001b[2JCoin')).url] })
    const [finding] = troubles(other, 'token')
    expect(finding?.message).toContain(
      'the contract says name "USD Coin", version "2", chain id 84532',
    )
  })

  // As geth, its elders and others say that a call was refused.
  test.each([3, -32_000, -32_015])('that tells no domain is a warning (error %i)', async code => {
    const node = await nodeThat(call =>
      call.method === 'eth_call' && /^0x(3644e515|84b0196e)/.test(dataOf(call))
        ? { kind: 'error', code, message: 'execution reverted' }
        : null,
    )
    const run = await check({ rpc: [node.url] })
    expect(run.code).toBe(0)
    expect(troubles(run, 'token')).toMatchObject([
      { level: 'warning', message: expect.stringContaining('does not tell its signing domain') },
    ])
  })

  test('where there is no contract is a problem', async () => {
    const nowhere = '0x2091125bFE4259b2CfA889165Beb6290d0Df5DeA'
    const network = `assets: [{symbol: USDC, address: "${nowhere}", decimals: 6, dollarPegged: true, eip712: {name: USDC, version: "2"}}]`
    const run = await check({ network })
    expect(troubles(run, 'token')).toMatchObject([
      { level: 'problem', message: `there is no contract at ${nowhere} on base-sepolia` },
    ])
  })

  test('without authorizationState is a problem for EIP-3009', async () => {
    const at = '0x000000000000000000000000000000000000bEEF'
    await chain.deployWallet(at, seller.address)
    const network = `assets: [{symbol: BEEF, address: "${at}", decimals: 6, dollarPegged: true, eip712: {name: BEEF, version: "1"}}]`
    const run = await check({ network, accepts: '{network: base-sepolia, asset: BEEF}' })
    expect(run.code).toBe(1)
    const messages = troubles(run, 'token').map(({ message }) => message)
    expect(messages).toContain('BEEF on base-sepolia: the contract has no decimals()')
    expect(messages).toContain(
      'BEEF on base-sepolia has no authorizationState(): it does not know EIP-3009',
    )
  })

  test('paid by Permit2 needs Permit2 and its proxy on the chain', async () => {
    const network = described(
      'decimals: 6, transferMethod: permit2, eip712: {name: Whatever, version: "9"}',
    )
    const run = await check({ network })
    expect(troubles(run, 'token')).toEqual([])
    expect(run.findings[3]?.message).toContain('Permit2 and its x402 proxy are there')
    const without = await nodeThat(({ method, params }) =>
      method === 'eth_getCode' && params[0] !== TOKEN_ADDRESS ? result('0x') : null,
    )
    const lacking = await check({ network, rpc: [without.url] })
    expect(lacking.code).toBe(1)
    expect(troubles(lacking, 'token')).toMatchObject([
      {
        level: 'problem',
        message: expect.stringMatching(
          /^base-sepolia has no Permit2 .* and no x402's proxy for it/,
        ),
      },
    ])
    const separator = '0x0000000000000000000000000000000000000000000000000000000000000001'
    const imitation = await nodeThat(call => {
      if (call.method === 'eth_getCode') return result('0x60')
      return call.method === 'eth_call' && dataOf(call) === '0x3644e515' ? result(separator) : null
    })
    const other = await check({ network, rpc: [imitation.url] })
    expect(troubles(other, 'token')).toMatchObject([
      { level: 'problem', message: expect.stringContaining('is not Permit2') },
    ])
  })
})

describe('who is paid', () => {
  const ABI = parseAbi([
    'function isBlacklisted(address account)',
    'function transfer(address to, uint256 value)',
  ])
  const blacklistQuery = encodeFunctionData({
    ...{ abi: ABI, functionName: 'isBlacklisted', args: [seller.address] },
  })
  const transferQuery = encodeFunctionData({
    ...{ abi: ABI, functionName: 'transfer', args: [seller.address, 0n] },
  })

  test('as the token itself is a problem', async () => {
    const run = await check({ payTo: TOKEN_ADDRESS })
    expect(troubles(run, 'payTo')).toMatchObject([
      { level: 'problem', message: expect.stringContaining('the contract of USDC itself') },
    ])
  })

  test('as a contract is a warning with its reason', async () => {
    const wallet = '0x00000000000000000000000000000000000FaCe5'
    await chain.deployWallet(wallet, seller.address)
    const run = await check({ payTo: wallet.toLowerCase() })
    expect(run.code).toBe(0)
    expect(troubles(run, 'payTo')).toMatchObject([
      { level: 'warning', item: 'payTo', message: expect.stringContaining('is a contract') },
    ])
  })

  test('as an account that lends itself code (EIP-7702) is all right', async () => {
    const code = `0xef0100${'12'.repeat(20)}`
    const node = await nodeThat(({ method, params }) =>
      method === 'eth_getCode' && params[0] === seller.address ? result(code) : null,
    )
    expect(troubles(await check({ rpc: [node.url] }), 'payTo')).toEqual([])
  })

  test('as an address that the token has blacklisted is a problem', async () => {
    const listed = `0x${'0'.repeat(63)}1`
    const node = await nodeThat(call =>
      call.method === 'eth_call' && dataOf(call) === blacklistQuery ? result(listed) : null,
    )
    const run = await check({ rpc: [node.url] })
    expect(run.code).toBe(1)
    expect(troubles(run, 'payTo')).toMatchObject([
      { level: 'problem', message: expect.stringContaining('is blacklisted by USDC') },
    ])
  })

  test('as an address that the token transfers nothing to is a problem', async () => {
    const node = await nodeThat(call =>
      call.method === 'eth_call' && dataOf(call) === transferQuery
        ? { kind: 'error', code: 3, message: 'execution reverted' }
        : null,
    )
    const run = await check({ rpc: [node.url] })
    expect(run.code).toBe(1)
    expect(troubles(run, 'payTo')).toMatchObject([
      { level: 'problem', message: expect.stringContaining('refuses a transfer to') },
    ])
  })

  test('is not blamed for a token that transfers nothing to anybody', async () => {
    const node = await nodeThat(call =>
      call.method === 'eth_call' && dataOf(call).startsWith(transferQuery.slice(0, 10))
        ? { kind: 'error', code: 3, message: 'execution reverted' }
        : null,
    )
    const run = await check({ rpc: [node.url] })
    expect(troubles(run, 'payTo')).toEqual([])
    expect(run.findings[4]?.message).not.toContain('goes through')
  })

  test('is told apart by the entry that names them', async () => {
    const accepts = `base-sepolia, {network: base-sepolia, payTo: "${TOKEN_ADDRESS}"}`
    const run = await check({ accepts })
    expect(troubles(run, 'payTo')).toMatchObject([{ line: 3, item: 'accepts[1].payTo' }])
  })
})

function unixNow(): number {
  return Math.floor(Date.now() / 1000)
}

async function disposable<T extends { close(): Promise<void> }>(starting: Promise<T>) {
  const started = await starting
  return Object.assign(started, { [Symbol.asyncDispose]: () => started.close() })
}
