//go:build tools

package tools

import (
	_ "github.com/cloudnative-pg/cloudnative-pg/cmd/manager"
	_ "github.com/cloudnative-pg/plugin-barman-cloud/cmd/manager"
	_ "github.com/rancher/local-path-provisioner"
	_ "go.etcd.io/etcd/server/v3"
	_ "k8s.io/kubernetes/cmd/kube-apiserver"
	_ "k8s.io/kubernetes/cmd/kube-controller-manager"
	_ "k8s.io/kubernetes/cmd/kube-proxy"
	_ "k8s.io/kubernetes/cmd/kube-scheduler"
	_ "k8s.io/kubernetes/cmd/kubelet"
)
