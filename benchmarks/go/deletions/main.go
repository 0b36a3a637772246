// Command deletions fills a namespace with Deployments and their ReplicaSets, or lists its ReplicaSets and deletes those without replicas,
// in parallel and as fast as the official Go client can: what gsv_ops is measured against. It keeps nothing and guards nothing.
//
//	deletions fill NAMESPACE DEPLOYMENTS REPLICASETS
//	deletions delete NAMESPACE
//
// The kubeconfig is KUBECONFIG's. Prints one line of JSON: how many objects, and how many seconds it took.
package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"os"
	"strconv"
	"sync"
	"time"

	apps "k8s.io/api/apps/v1"
	core "k8s.io/api/core/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
)

const (
	workers  = 16
	page     = 500
	revision = "deployment.kubernetes.io/revision"
	hash     = "pod-template-hash"
)

func main() {
	log.SetFlags(0)
	config, err := clientcmd.BuildConfigFromFlags("", os.Getenv("KUBECONFIG"))
	check(err)
	config.QPS, config.Burst = 100000, 100000 // its own brake, for controllers, is off
	config.ContentType = "application/vnd.kubernetes.protobuf"
	client, err := kubernetes.NewForConfig(config)
	check(err)
	if len(os.Args) < 3 {
		log.Fatal("usage: deletions fill NAMESPACE DEPLOYMENTS REPLICASETS | deletions delete NAMESPACE")
	}
	begun, done := time.Now(), 0
	switch os.Args[1] {
	case "fill":
		done = fill(client, os.Args[2], number(3), number(4))
	case "delete":
		done = deleteAll(client, os.Args[2])
	}
	said, err := json.Marshal(map[string]any{"objects": done, "seconds": time.Since(begun).Seconds()})
	check(err)
	fmt.Println(string(said))
}

// deleteAll lists page by page and deletes what has no replicas, the list going on meanwhile.
func deleteAll(client kubernetes.Interface, namespace string) int {
	sets := client.AppsV1().ReplicaSets(namespace)
	background := meta.DeletePropagationBackground
	names := make(chan string, 4*page)
	wait := inParallel(names, func(name string) {
		check(sets.Delete(context.TODO(), name, meta.DeleteOptions{PropagationPolicy: &background}))
	})
	found := 0
	for options := (meta.ListOptions{Limit: page}); ; {
		list, err := sets.List(context.TODO(), options)
		check(err)
		for _, one := range list.Items {
			if one.Spec.Replicas != nil && *one.Spec.Replicas == 0 && one.Status.Replicas == 0 {
				names <- one.Name
				found++
			}
		}
		if options.Continue = list.Continue; options.Continue == "" {
			break
		}
	}
	close(names)
	wait()
	return found
}

// fill makes complete Deployments, each with so many ReplicaSets, of which the newest runs.
func fill(client kubernetes.Interface, namespace string, deployments, each int) int {
	space := &core.Namespace{ObjectMeta: meta.ObjectMeta{Name: namespace}}
	_, err := client.CoreV1().Namespaces().Create(context.TODO(), space, meta.CreateOptions{})
	check(err)
	names := make(chan string, deployments)
	wait := inParallel(names, func(name string) { one(client, namespace, name, each) })
	for n := range deployments {
		names <- fmt.Sprintf("d%05d", n)
	}
	close(names)
	wait()
	return deployments * each
}

func one(client kubernetes.Interface, namespace, name string, each int) {
	ctx := context.TODO()
	pods, limit := int32(1), int32(10)
	labels := map[string]string{"app": name}
	owner := &apps.Deployment{
		ObjectMeta: meta.ObjectMeta{Name: name, Namespace: namespace, Annotations: map[string]string{revision: strconv.Itoa(each)}},
		Spec: apps.DeploymentSpec{
			Replicas: &pods, RevisionHistoryLimit: &limit, Selector: &meta.LabelSelector{MatchLabels: labels}, Template: template(labels, each),
		},
	}
	owner, err := client.AppsV1().Deployments(namespace).Create(ctx, owner, meta.CreateOptions{})
	check(err)
	owner.Status = apps.DeploymentStatus{
		ObservedGeneration: owner.Generation, Replicas: 1, UpdatedReplicas: 1, ReadyReplicas: 1, AvailableReplicas: 1,
	}
	_, err = client.AppsV1().Deployments(namespace).UpdateStatus(ctx, owner, meta.UpdateOptions{})
	check(err)
	for n := 1; n <= each; n++ {
		count := int32(0)
		if n == each {
			count = 1
		}
		own := map[string]string{"app": name, hash: fmt.Sprintf("h%d", n)}
		set := &apps.ReplicaSet{
			ObjectMeta: meta.ObjectMeta{
				Name: fmt.Sprintf("%s-%d", name, n), Namespace: namespace, Labels: own,
				Annotations:     map[string]string{revision: strconv.Itoa(n), "deployment.kubernetes.io/desired-replicas": "1"},
				OwnerReferences: []meta.OwnerReference{*meta.NewControllerRef(owner, apps.SchemeGroupVersion.WithKind("Deployment"))},
			},
			Spec: apps.ReplicaSetSpec{Replicas: &count, Selector: &meta.LabelSelector{MatchLabels: own}, Template: template(own, n)},
		}
		set, err := client.AppsV1().ReplicaSets(namespace).Create(ctx, set, meta.CreateOptions{})
		check(err)
		set.Status = apps.ReplicaSetStatus{ObservedGeneration: set.Generation, Replicas: count, ReadyReplicas: count, AvailableReplicas: count}
		_, err = client.AppsV1().ReplicaSets(namespace).UpdateStatus(ctx, set, meta.UpdateOptions{})
		check(err)
	}
}

func template(labels map[string]string, version int) core.PodTemplateSpec {
	container := core.Container{
		Name: "c", Image: fmt.Sprintf("none.invalid/app:%d", version),
		Env: []core.EnvVar{{Name: "LEVEL", Value: "info"}, {Name: "REGION", Value: "eu-1"}},
	}
	return core.PodTemplateSpec{ObjectMeta: meta.ObjectMeta{Labels: labels}, Spec: core.PodSpec{Containers: []core.Container{container}}}
}

// inParallel hands what comes through the channel to the workers; what it returns waits for them.
func inParallel(items <-chan string, do func(string)) func() {
	var group sync.WaitGroup
	for range workers {
		group.Add(1)
		go func() {
			defer group.Done()
			for item := range items {
				do(item)
			}
		}()
	}
	return group.Wait
}

func number(position int) int {
	found, err := strconv.Atoi(os.Args[position])
	check(err)
	return found
}

func check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}
