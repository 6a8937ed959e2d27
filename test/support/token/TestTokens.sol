// SPDX-License-Identifier: Apache-2.0
pragma solidity ^0.8.20;

import {TestDollar} from "./TestDollar.sol";

/// Stands in for pieUSD of Kite's test network.
contract TestPie is TestDollar {
    function name() public pure override returns (string memory) {
        return "pieUSD";
    }

    function symbol() public pure override returns (string memory) {
        return "pieUSD";
    }

    function version() public pure override returns (string memory) {
        return "1";
    }

    function decimals() public pure override returns (uint8) {
        return 18;
    }
}

/// A token as many are: it signs nothing, neither EIP-3009 nor EIP-2612.
contract TestPlainToken {
    string public constant name = "Plain";
    string public constant symbol = "PLAIN";
    uint8 public constant decimals = 6;

    mapping(address => uint256) public balanceOf;
    mapping(address => mapping(address => uint256)) public allowance;

    event Transfer(address indexed from, address indexed to, uint256 value);
    event Approval(address indexed owner, address indexed spender, uint256 value);

    function mint(address to, uint256 value) external {
        balanceOf[to] += value;
        emit Transfer(address(0), to, value);
    }

    function approve(address spender, uint256 value) external returns (bool) {
        allowance[msg.sender][spender] = value;
        emit Approval(msg.sender, spender, value);
        return true;
    }

    function transferFrom(address from, address to, uint256 value) external returns (bool) {
        allowance[from][msg.sender] -= value;
        balanceOf[from] -= value;
        balanceOf[to] += value;
        emit Transfer(from, to, value);
        return true;
    }
}

/// Stands in for mUSD of Mezo's test network: it has EIP-2612, and no EIP-3009.
contract TestPermitDollar is TestDollar {
    error NoAuthorizations();

    function name() public pure override returns (string memory) {
        return "Mezo USD";
    }

    function symbol() public pure override returns (string memory) {
        return "mUSD";
    }

    function version() public pure override returns (string memory) {
        return "1";
    }

    function decimals() public pure override returns (uint8) {
        return 18;
    }

    function spendAuthorization(address, bytes32, bytes32, bytes memory) internal view override {
        if (block.chainid != 0) revert NoAuthorizations();
    }
}
