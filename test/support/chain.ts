import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import {
  type Address,
  createPublicClient,
  createTestClient,
  createWalletClient,
  defineChain,
  type Hex,
  http,
  type PublicClient,
  pad,
  publicActions,
} from 'viem'
import { spawnTied, type TiedProcess } from './tied-process.ts'
import { testDollarAbi } from './token/abi.ts'
import artifact from './token/artifact.json' with { type: 'json' }

/** USDC's address on Base Sepolia (networks.json of the ecosystem notes, @x402/evm 2.27.0). */
export const TOKEN_ADDRESS: Address = '0x036CbD53842c5426634e7929541eC2318f3dCF7e'
/** pieUSD on Kite's test network, mUSD on Mezo's (networks.json of the ecosystem notes). */
const PIE_ADDRESS: Address = '0x38129cf4CE5E183eFF248F42A7D345Bb1B47621A'
const PERMIT_DOLLAR_ADDRESS: Address = '0x118917a40FAF1CD7a13dB0Ef56C86De7973Ac503'
/** Where every public chain has Multicall3, and where @x402/evm expects it. */
const CALL_BATCH_ADDRESS: Address = '0xcA11bde05977b3631167028862bE2a173976CA11'
/** Where Permit2 and x402's proxy are on every chain (@x402/evm 2.27.0). */
export const PERMIT2_ADDRESS: Address = '0x000000000022D473030F116dDEE9F6B43aC78BA3'
const EXACT_PROXY_ADDRESS: Address = '0x402085c248EeA27D92E8b30b2C58ed07f9E20001'
/** A token that signs nothing, which Permit2 alone can move; any address would do. */
export const PLAIN_TOKEN: Address = '0x2000000000000000000000000000000000000020'
/** Deploys smart wallets (EIP-6492); any address would do. */
export const WALLET_FACTORY: Address = '0xFac7000000000000000000000000000000000001'
/** Anvil's last development account; the node signs for it. The facilitator uses the first. */
const MINTER: Address = '0xa0Ee7A142d267C1f36714E4a8F75612F20a79720'
const START_TIMEOUT_MS = 15_000

export interface Chain {
  readonly rpcUrl: string
  readonly chainId: number
  /** The dollar of the chain: six decimals on Base Sepolia, 18 on Kite and Mezo. */
  readonly token: Address
  readonly publicClient: PublicClient
  /** Gives test dollars, or another token, in atomic units, to anybody. */
  mint(to: Address, amount: bigint, token?: Address): Promise<void>
  /** In atomic units; without `token`, in the chain's dollars. */
  balanceOf(account: Address, token?: Address): Promise<bigint>
  /** Puts an EIP-1271 smart wallet at `at` that accepts what `owner`'s key signed. */
  deployWallet(at: Address, owner: Address): Promise<void>
  /**
   * Ends the node and starts it again at the same port with its blocks; what was in no block is
   * gone. Only with `keepState`.
   */
  restart(): Promise<void>
  close(): Promise<void>
}

export interface ChainOptions {
  /** Default: Base Sepolia's. */
  readonly chainId?: number
  /** Without it, every transaction is mined at once. */
  readonly blockTimeSeconds?: number
  /** Blocks and state survive `restart`. */
  readonly keepState?: boolean
}

/** Starts a real EVM node on 127.0.0.1, test dollars at the addresses of the real ones. */
export async function startChain(options: ChainOptions = {}): Promise<Chain> {
  const { chainId = 84532, blockTimeSeconds, keepState = false } = options
  const folder = keepState ? await mkdtemp(join(tmpdir(), 'farebox-chain-')) : null
  const interval = blockTimeSeconds === undefined ? [] : ['--block-time', String(blockTimeSeconds)]
  const state = folder === null ? [] : ['--state', join(folder, 'state.json')]
  const start = (port: number): TiedProcess =>
    spawnTied(anvilBinary(), [
      ...['--host', '127.0.0.1', '--port', String(port), '--chain-id', String(chainId)],
      ...interval,
      ...state,
    ])
  let anvil = start(0)
  const token = TOKENS.get(chainId) ?? TOKEN_ADDRESS
  const close = async (): Promise<void> => {
    await anvil.stop()
    if (folder !== null) await rm(folder, { recursive: true, force: true })
  }
  try {
    const port = await listeningPort(anvil)
    const rpcUrl = `http://127.0.0.1:${port}`
    const mineMints = blockTimeSeconds !== undefined
    const restart = async (): Promise<void> => {
      if (folder === null) throw new Error('Only a chain with keepState can be started again.')
      // On SIGTERM the node writes its state down.
      anvil.child.kill('SIGTERM')
      await once(anvil.child, 'close')
      anvil = start(port)
      await listeningPort(anvil)
    }
    const chain = chainAt(rpcUrl, { chainId, token, mineMints, restart, close })
    await placeContracts(rpcUrl)
    return chain
  } catch (error) {
    await close()
    throw error
  }
}

/** How viem must see a local chain: named, with its own id, and asked often. */
export function viemChain(rpcUrl: string, chainId: number) {
  return defineChain({
    id: chainId,
    name: 'anvil',
    nativeCurrency: { name: 'Ether', symbol: 'ETH', decimals: 18 },
    rpcUrls: { default: { http: [rpcUrl] } },
    testnet: true,
  })
}

/** The token that a chain has instead of the usual one. */
const TOKENS = new Map<number, Address>([
  [2368, PIE_ADDRESS],
  [31611, PERMIT_DOLLAR_ADDRESS],
])

interface Node {
  readonly chainId: number
  readonly token: Address
  /** With a block time, nobody should have to wait for test money. */
  readonly mineMints: boolean
  restart(): Promise<void>
  close(): Promise<void>
}

function chainAt(rpcUrl: string, node: Node): Chain {
  const { chainId, token, mineMints, restart, close } = node
  const settings = {
    chain: viemChain(rpcUrl, chainId),
    transport: http(rpcUrl),
    pollingInterval: 20,
  }
  const publicClient = createPublicClient(settings)
  const wallet = createWalletClient({ ...settings, account: MINTER })
  const control = testClient(rpcUrl)
  // The node hands out the same nonce twice when two transactions come at once.
  let lastMint: Promise<void> = Promise.resolve()
  const mint = async (to: Address, amount: bigint, address: Address) => {
    const hash = await wallet.writeContract({
      address,
      abi: testDollarAbi,
      functionName: 'mint',
      args: [to, amount],
    })
    if (mineMints) await control.mine({ blocks: 1 })
    await publicClient.waitForTransactionReceipt({ hash })
  }
  return {
    rpcUrl,
    chainId,
    token,
    publicClient,
    restart,
    close,
    mint(to, amount, other = token) {
      const minted = lastMint.then(() => mint(to, amount, other))
      lastMint = minted.catch(() => undefined)
      return minted
    },
    balanceOf: (account, address = token) =>
      publicClient.readContract({
        address,
        abi: testDollarAbi,
        functionName: 'balanceOf',
        args: [account],
      }),
    async deployWallet(at, owner) {
      await control.setCode({ address: at, bytecode: hex(artifact.wallet.deployedBytecode) })
      await control.setStorageAt({ address: at, index: 0, value: pad(owner) })
    },
  }
}

function testClient(rpcUrl: string) {
  return createTestClient({ mode: 'anvil', transport: http(rpcUrl) }).extend(publicActions)
}

async function placeContracts(rpcUrl: string): Promise<void> {
  const control = testClient(rpcUrl)
  const contracts: [Address, { deployedBytecode: string }][] = [
    [TOKEN_ADDRESS, artifact],
    [PIE_ADDRESS, artifact.pie],
    [PERMIT_DOLLAR_ADDRESS, artifact.permitDollar],
    [PLAIN_TOKEN, artifact.plainToken],
    [CALL_BATCH_ADDRESS, artifact.callBatch],
    [PERMIT2_ADDRESS, artifact.permit2],
    [EXACT_PROXY_ADDRESS, artifact.exactProxy],
    [WALLET_FACTORY, artifact.walletFactory],
  ]
  await Promise.all(
    contracts.map(([address, { deployedBytecode }]) =>
      control.setCode({ address, bytecode: hex(deployedBytecode) }),
    ),
  )
}

/** Resolves with the port that the node says it listens on. */
function listeningPort(anvil: TiedProcess): Promise<number> {
  const { child } = anvil
  return new Promise((resolve, reject) => {
    let said = ''
    const fail = (why: string) => {
      clearTimeout(timer)
      reject(new Error(`The local chain did not start: ${why}\n${said.trim()}`.trim()))
    }
    const timer = setTimeout(() => fail(`silent for ${START_TIMEOUT_MS} ms`), START_TIMEOUT_MS)
    const listen = (chunk: Buffer) => {
      said += chunk.toString()
      const port = /^Listening on 127\.0\.0\.1:(\d+)$/m.exec(said)?.[1]
      if (port === undefined) return
      clearTimeout(timer)
      // From here on the log is thrown away: an unread pipe would block the node.
      child.stdout?.off('data', listen).resume()
      child.stderr?.off('data', listen).resume()
      resolve(Number(port))
    }
    child.stdout?.on('data', listen)
    child.stderr?.on('data', listen)
    child.once('error', error => fail(error.message))
    child.once('exit', code => fail(`anvil ended with code ${code}`))
  })
}

/**
 * The platform's own executable. The package's launcher script would sit between us and the node,
 * and a killed launcher leaves the node running.
 */
function anvilBinary(): string {
  const architecture = process.arch === 'x64' ? 'amd64' : process.arch
  const name = process.platform === 'win32' ? 'anvil.exe' : 'anvil'
  const platformPackage = `@foundry-rs/anvil-${process.platform}-${architecture}`
  const launcher = createRequire(import.meta.url).resolve('@foundry-rs/anvil/package.json')
  try {
    return createRequire(launcher).resolve(`${platformPackage}/bin/${name}`)
  } catch (cause) {
    throw new Error(`${platformPackage} is not installed. Run "npm install" on this machine.`, {
      cause,
    })
  }
}

function hex(text: string): Hex {
  if (!text.startsWith('0x')) throw new TypeError(`Not hexadecimal: ${text.slice(0, 20)}`)
  return text as Hex // checked just above
}
