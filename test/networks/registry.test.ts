import { mkdtempSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { DEFAULT_ASSETS } from '@x402/evm'
import { getAddress } from 'viem'
import { describe, expect, it } from 'vitest'
import { loadFacilitatorPresets } from '../../src/config/facilitator-presets.ts'
import { DataFileError } from '../../src/networks/data-file.ts'
import { loadNetworkRegistry } from '../../src/networks/registry.ts'

const registry = loadNetworkRegistry()

describe.each(registry.networks)('$name', network => {
  it('has a CAIP-2 id of an EVM chain', () => {
    expect(network.id).toMatch(/^eip155:[1-9]\d{0,17}$/)
  })

  it('is found by each of its spellings', () => {
    for (const spelling of [network.name, network.id, network.v1Name ?? network.name]) {
      expect(registry.find(spelling)).toBe(network)
    }
  })

  it('has tokens with a checksum, a signing domain and sensible decimals', () => {
    for (const { address, decimals, eip712, symbol } of network.assets) {
      expect(address).toBe(getAddress(address))
      expect(decimals).toBeGreaterThanOrEqual(2)
      expect(decimals).toBeLessThanOrEqual(18)
      expect(`${symbol}${eip712.name}${eip712.version}`).not.toMatch(/^\s|\s$/)
    }
  })

  it('names each token once', () => {
    const symbols = network.assets.map(({ symbol }) => symbol)
    const addresses = network.assets.map(({ address }) => address)
    expect(new Set(symbols).size).toBe(symbols.length)
    expect(new Set(addresses).size).toBe(addresses.length)
  })

  it('starts with a token that dollar prices can be paid in', () => {
    expect(network.assets[0].dollarPegged).toBe(true)
  })
})

describe('the registry', () => {
  it('gives no spelling to two networks', () => {
    const spellings = registry.networks.flatMap(({ id, name, v1Name }) => [
      ...new Set([id, name, v1Name ?? name]),
    ])
    expect(new Set(spellings).size).toBe(spellings.length)
  })

  it('knows no network by another spelling', () => {
    expect(registry.find('Base')).toBeNull()
    expect(registry.find('')).toBeNull()
    expect(registry.find('constructor')).toBeNull()
  })

  it('agrees with the published EVM scheme about every token that both know', () => {
    const published = Object.entries(DEFAULT_ASSETS).flatMap(([id, assets]) =>
      assets.map(asset => ({ id, asset })),
    )
    expect(published.length).toBeGreaterThan(20)
    for (const { id, asset } of published) {
      const ours = registry.find(id)?.assets.find(({ address }) => address === asset.asset)
      expect(ours).toMatchObject({
        decimals: asset.decimals,
        eip712: { name: asset.name, version: asset.version },
        transferMethod: asset.assetTransferMethod ?? 'eip3009',
      })
    }
  })

  it('refuses a damaged file', () => {
    const file = join(mkdtempSync(join(tmpdir(), 'farebox-networks-')), 'networks.yaml')
    writeFileSync(file, 'networks: {base: {id: "8453", assets: []}}')
    expect(() => loadNetworkRegistry(pathToFileURL(file))).toThrow(DataFileError)
    expect(() => loadNetworkRegistry(pathToFileURL('/nowhere.yaml'))).toThrow(DataFileError)
  })
})

describe('facilitator presets', () => {
  const presets = [...loadFacilitatorPresets()].map(([name, preset]) => ({ name, ...preset }))

  it.each(presets)('$name serves networks that are known, at a URL without a slash', preset => {
    expect(preset.url).toMatch(/^https:\/\/[^?#@]+[^/]$/)
    for (const network of preset.networks) expect(registry.find(network)?.name).toBe(network)
  })

  it('have one URL each', () => {
    expect(new Set(presets.map(({ url }) => url)).size).toBe(presets.length)
  })
})
