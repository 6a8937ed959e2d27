import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { DEFAULT_ASSETS } from '@x402/evm'
import { EVM_NETWORK_CHAIN_ID_MAP } from '@x402/evm/v1'
import {
  getDefaultAsset,
  LIGHTHOUSE_PROGRAM_ADDRESS,
  MEMO_PROGRAM_ADDRESS,
  V1_TO_V2_NETWORK_MAP,
} from '@x402/svm'
import { getAddress } from 'viem'
import { describe, expect, it } from 'vitest'
import { DataFileError } from '../../src/networks/data-file.ts'
import { isSold, loadNetworkRegistry } from '../../src/networks/registry.ts'
import { LIGHTHOUSE_PROGRAM, MEMO_PROGRAM } from '../../src/x402/solana-address.ts'

const registry = loadNetworkRegistry()
const { networks } = registry
const evm = networks.filter(network => network.family === 'evm')
const solana = networks.filter(network => network.family === 'solana')

/** CAIP-2: namespace and reference. */
const CAIP2 = /^[-a-z0-9]{3,8}:[-_a-zA-Z0-9]{1,32}$/

describe.each(networks)('$name', network => {
  it('has a CAIP-2 id', () => {
    expect(network.id).toMatch(CAIP2)
  })

  it('is found by each of its spellings', () => {
    const { name, id, v1Name, aliases } = network
    for (const spelling of [name, id, v1Name ?? name, ...aliases]) {
      expect(registry.find(spelling)).toBe(network)
    }
  })

  it('has tokens with sensible decimals, and names each once', () => {
    const { assets } = network
    for (const { decimals, symbol } of assets) {
      expect(decimals).toBeGreaterThanOrEqual(2)
      expect(decimals).toBeLessThanOrEqual(18)
      expect(symbol).toMatch(/^\S+$/)
    }
    expect(new Set(assets.map(({ symbol }) => symbol)).size).toBe(assets.length)
    expect(new Set(assets.map(({ address }) => address)).size).toBe(assets.length)
  })

  it('starts with a token that dollar prices can be paid in, if it has any', () => {
    expect(network.assets[0]?.dollarPegged ?? true).toBe(true)
  })

  it('links to transactions, if anywhere', () => {
    expect(network.explorer ?? 'https://a/{transaction}').toMatch(/^https:.*\{transaction\}/)
  })
})

describe.each(evm)('$name, an EVM network', network => {
  it('has the id of a chain that a number can hold', () => {
    expect(network.id).toMatch(/^eip155:[1-9]\d*$/)
    expect(Number.isSafeInteger(Number(network.id.slice('eip155:'.length)))).toBe(true)
  })

  it('has tokens with a checksum and a signing domain', () => {
    for (const { address, eip712 } of network.assets) {
      expect(address).toBe(getAddress(address))
      for (const text of [eip712?.name, eip712?.version]) expect(text).toMatch(/^\S(.*\S)?$/)
    }
  })
})

describe.each(solana)('$name, a Solana network', network => {
  it('has mints and programs that are public keys', () => {
    const addresses = network.assets.flatMap(({ address, program }) => [address, program])
    expect(addresses.length).toBeGreaterThan(0)
    for (const address of [...addresses, ...Object.values(network.programs)]) {
      expect(decodeBase58(address)).toHaveLength(32)
    }
  })

  it('agrees with the reference library in every mint, its decimals and its program', () => {
    const facts = network.assets.map(({ symbol, address, decimals, program }) => ({
      ...{ symbol, asset: address, decimals, tokenProgram: program },
    }))
    for (const fact of facts) {
      expect(getDefaultAsset(network.id, fact.symbol)).toEqual(fact)
    }
    expect(getDefaultAsset(network.id).asset).toBe(facts[0]?.asset)
    expect(V1_TO_V2_NETWORK_MAP[network.v1Name ?? '']).toBe(network.id)
  })

  it('knows the programs that a payment may call', () => {
    const { memo, lighthouse } = network.programs
    expect([memo, lighthouse]).toEqual([MEMO_PROGRAM, LIGHTHOUSE_PROGRAM])
    expect([memo, lighthouse]).toEqual([MEMO_PROGRAM_ADDRESS, LIGHTHOUSE_PROGRAM_ADDRESS])
    expect(Object.keys(network.programs).sort()).toEqual(['lighthouse', 'memo'])
  })
})

/** Base58 as Bitcoin has it: the digits of one large number, with a zero byte for each leading 1. */
function decodeBase58(text: string): Buffer {
  const alphabet = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz'
  const number = [...text].reduce((sum, digit) => {
    expect(alphabet).toContain(digit)
    return sum * 58n + BigInt(alphabet.indexOf(digit))
  }, 0n)
  const hex = number.toString(16)
  const zeros = Buffer.alloc(/^1*/.exec(text)?.[0].length ?? 0)
  return Buffer.concat([
    zeros,
    Buffer.from(hex.padStart(hex.length + (hex.length % 2), '0'), 'hex'),
  ])
}

describe('other networks', () => {
  const forms = {
    algorand: /^[1-9]\d+$/,
    stellar: /^C[A-Z2-7]{55}$/,
    aptos: /^0x[0-9a-f]{64}$/,
  }

  it('have addresses as they write them', () => {
    for (const network of networks) {
      if (network.family === 'evm' || network.family === 'solana') continue
      for (const { address } of network.assets) expect(address).toMatch(forms[network.family])
    }
  })

  it('are known, and sold on by nobody', () => {
    const unsold = networks.filter(network => !isSold(network))
    expect(new Set(unsold.map(({ family }) => family))).toEqual(
      new Set(['algorand', 'stellar', 'aptos']),
    )
    for (const { assets } of unsold) expect(assets.length).toBeGreaterThan(0)
  })
})

describe('the registry', () => {
  it('gives no spelling to two networks', () => {
    const spellings = networks.flatMap(({ id, name, v1Name, aliases }) => [
      ...new Set([id, name, v1Name ?? name, ...aliases]),
    ])
    expect(new Set(spellings).size).toBe(spellings.length)
  })

  it('knows no network by another spelling', () => {
    expect(registry.find('Base')).toBeNull()
    expect(registry.find('')).toBeNull()
    expect(registry.find('constructor')).toBeNull()
  })

  it('agrees with the published EVM scheme about every token that both know', () => {
    const published = Object.entries(DEFAULT_ASSETS)
    expect(published.length).toBeGreaterThan(20)
    for (const [id, assets] of published) {
      const ours = evm.find(network => network.id === id)?.assets ?? []
      expect(ours[0]?.address, id).toBe(assets[0]?.asset)
      for (const asset of assets) {
        expect(ours.find(({ address }) => address === asset.asset)).toMatchObject({
          symbol: asset.symbol,
          decimals: asset.decimals,
          eip712: { name: asset.name, version: asset.version },
          transferMethod: asset.assetTransferMethod ?? 'eip3009',
        })
      }
    }
  })

  it('agrees with the published EVM scheme about every name of version 1', () => {
    const published = Object.entries(EVM_NETWORK_CHAIN_ID_MAP).map(([name, id]) => [
      name,
      `eip155:${id}`,
    ])
    const ours = evm.flatMap(({ v1Name, id }) => (v1Name === null ? [] : [[v1Name, id]]))
    expect(ours.sort()).toEqual(published.sort())
  })

  it('refuses a damaged file', () => {
    const file = join(mkdtempSync(join(tmpdir(), 'farebox-networks-')), 'networks.yaml')
    writeFileSync(file, 'networks: {base: {id: "8453", assets: []}}')
    expect(() => loadNetworkRegistry(pathToFileURL(file))).toThrow(DataFileError)
    expect(() => loadNetworkRegistry(pathToFileURL('/nowhere.yaml'))).toThrow(DataFileError)
  })
})
