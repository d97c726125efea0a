package node

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"

	certificatesv1 "k8s.io/api/certificates/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/kubernetes/fake"
	clienttesting "k8s.io/client-go/testing"

	"github.com/basalt-os/basalt/internal/logs"
	"github.com/basalt-os/basalt/internal/service"
	"github.com/basalt-os/basalt/pkg/secrets"
)

// A worker asks a cluster that does not answer at first, and then takes a while
// to sign.
func TestSignByCluster(t *testing.T) {
	t.Parallel()

	authority, err := secrets.NewCA(secrets.CAOptions{})
	if err != nil {
		t.Fatal(err)
	}

	synctest.Test(t, func(t *testing.T) {
		client := fake.NewClientset()
		asked := 0

		client.PrependReactor("get", "certificatesigningrequests", func(clienttesting.Action) (bool, runtime.Object, error) {
			if asked++; asked == 1 {
				return true, nil, errors.New("connection refused")
			}

			return false, nil, nil
		})

		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()

		go func() {
			<-time.After(5 * time.Second) // of the bubble's clock

			list, err := client.Tracker().List(certificatesv1.SchemeGroupVersion.WithResource("certificatesigningrequests"),
				certificatesv1.SchemeGroupVersion.WithKind("CertificateSigningRequest"), "")
			if err != nil {
				t.Error(err)

				return
			}

			requests := list.(*certificatesv1.CertificateSigningRequestList).Items
			if len(requests) != 1 {
				t.Errorf("there are %d requests", len(requests))

				return
			}

			signed, err := authority.SignCSR(requests[0].Spec.Request, secrets.SignOptions{KeepOrganizations: true})
			if err != nil {
				t.Error(err)

				return
			}

			requests[0].Status.Certificate = signed

			if err := client.Tracker().Update(certificatesv1.SchemeGroupVersion.WithResource("certificatesigningrequests"), &requests[0], ""); err != nil {
				t.Error(err)
			}
		}()

		pair, err := signByCluster(ctx, client, "worker-1")
		if err != nil {
			t.Fatal(err)
		}

		certificate, err := pair.Certificate()
		if err != nil {
			t.Fatal(err)
		}

		if certificate.Subject.CommonName != "system:node:worker-1" || certificate.Subject.Organization[0] != "system:nodes" {
			t.Errorf("the certificate is for %s", certificate.Subject)
		}

		if _, err := pair.TLS(); err != nil {
			t.Errorf("the key does not fit: %v", err)
		}
	})
}

func TestSignByClusterThatRefuses(t *testing.T) {
	t.Parallel()

	client := fake.NewClientset()
	client.PrependReactor("create", "certificatesigningrequests", func(action clienttesting.Action) (bool, runtime.Object, error) {
		request := action.(clienttesting.CreateAction).GetObject().(*certificatesv1.CertificateSigningRequest).DeepCopy()
		request.Status.Conditions = []certificatesv1.CertificateSigningRequestCondition{
			{Type: certificatesv1.CertificateDenied, Status: corev1.ConditionTrue, Reason: "NotToday"},
		}

		return true, request, nil
	})

	if _, err := signByCluster(t.Context(), client, "worker-1"); !errors.Is(err, errDenied) {
		t.Errorf("got %v, want that it is denied", err)
	}
}

func TestStoreKubeletCert(t *testing.T) {
	t.Parallel()

	path := filepath.Join(t.TempDir(), "pki", "kubelet-client-current.pem")
	pair := secrets.KeyPair{Cert: secrets.PEM("cert\n"), Key: secrets.PEM("key\n")}

	for range 2 {
		if err := storeKubeletCert(path, pair, time.Unix(0, 0)); err != nil {
			t.Fatal(err)
		}
	}

	if target, err := os.Readlink(path); err != nil || target != "kubelet-client-1970-01-01-00-00-00.pem" {
		t.Errorf("the link is to %q, %v", target, err)
	}

	if text, err := os.ReadFile(path); err != nil || string(text) != "cert\nkey\n" {
		t.Errorf("got %q, %v", text, err)
	}
}

// What a preparation waits for is seen in the state of the service.
func TestEtcdSaysWhatItWaitsFor(t *testing.T) {
	t.Parallel()

	synctest.Test(t, func(t *testing.T) {
		m := newTestMember(t)
		supervisor := service.NewSupervisor(slog.New(slog.DiscardHandler), logs.NewBook(1000, nil), nobody{})

		err := supervisor.Add(service.Definition{ID: "etcd", Prepare: func(ctx context.Context) (service.Runner, error) {
			_, err := m.join(ctx, testSpec)

			return nil, err
		}})
		if err != nil {
			t.Fatal(err)
		}

		if err := supervisor.Start("etcd"); err != nil {
			t.Fatal(err)
		}

		<-time.After(time.Second) // of the bubble's clock

		status, err := supervisor.Status("etcd")
		if err != nil {
			t.Fatal(err)
		}

		const want = "Waiting until one control plane node is told to begin the cluster (basaltctl bootstrap), " +
			"or another one that runs lets it join: no other control plane node is known"
		if last := status.Events[len(status.Events)-1]; last.State != service.Preparing || last.Message != want {
			t.Errorf("got %v: %q", last.State, last.Message)
		}

		if err := supervisor.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
}

// nobody observes services.
type nobody struct{}

func (nobody) ServiceChanged(service.Status) {}
